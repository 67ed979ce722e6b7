"""What XNAT's clients ask for, as rows and things of the one catalog: names, ids and columns of their dialect."""
