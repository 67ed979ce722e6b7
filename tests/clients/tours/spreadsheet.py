"""What people do by hand with xnatuploader's spreadsheet: choose all its files, or look what became of each."""

import sys

from openpyxl import load_workbook


def choose_all(path):
    book = load_workbook(path)
    for row in book["Files"].iter_rows(min_row=2):
        row[3].value = "Y"
    book.save(path)


def look(path):
    print(*[row[4] for row in list(load_workbook(path)["Files"].values)[1:]])


if __name__ == "__main__":
    {"choose-all": choose_all, "look": look}[sys.argv[1]](sys.argv[2])
