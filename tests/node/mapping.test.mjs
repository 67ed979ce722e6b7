import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./modules.mjs";

const { decodeMapping, parseMapping, rowFor, writeMapping } = await load("mapping_csv.js");
const { Study } = await load("study.js");
const { tableWords } = await load("table_words.js");

const study = (uid, id, folders = []) =>
  new Study({ key: uid, uid, series: [{ uid: "1", objects: 1, values: { PatientID: new Map([[id, 1]]) } }], ecat: [], sessionFolders: {}, folders, ecatDate: "" });

test("columns in any order and spelling, any delimiter, quoted cells", () => {
  const wanted = [{ number: 2, leaveOut: false, study_uid: "1.2", session: 'S "1", a', subject: "" }];
  for (const text of [
    'Study UID,Session Label,subject\n1.2,"S ""1"", a",\n',
    '\ufeffsep=;\r\nsession;study_uid;subject\r\n"S ""1"", a"; 1.2;\r\n',
    'StudyInstanceUID\tsession\tsubject\r1.2\t"S ""1"", a"\t\r',
  ]) {
    const [row] = parseMapping(text);
    assert.deepEqual({ ...row, number: 2 }, { ...wanted[0], number: 2 });
  }
});

test("what is wrong is told with its row", () => {
  const fails = (text, words) => assert.throws(() => parseMapping(text), (error) => error.message.includes(words));
  fails("", "empty");
  fails("study_uid,session\n", "no rows");
  fails("subject,session\na,b\n", "Row 1 of the table has no column that chooses studies");
  fails("study_uid,session\n1,2,3\n", "Row 2 of the table has 3 cells, and the header 2");
  fails("study_uid,session\n,S1\n", "Row 2 of the table chooses no study");
  fails("study_uid,session\n1,...\n", "has no letter or digit");
  fails("study_uid,project\n1,a b\n", "is not a project ID");
  fails("study_uid,leave_out\n1,perhaps\n", "Row 2 of the table, column leave_out: “perhaps” is neither yes nor no.");
  fails('study_uid,session\n1,"S', "is not closed");
  fails("study_uid,study uid\n1,2\n", "twice");
  fails("patient_id,age,age\n1,2,3\n", "twice");
  fails("patient_id,sesion\n1,2\n", "Row 1 of the table names an unknown column “sesion”: known are study_uid, patient_id, folder, project");
  fails("patient_id,\n1,2\n", "Row 2 of the table has a value under a column without a name");
  fails('patient_id,session\n1,"S"x\n', "Row 2 of the table, column 2: can't be read, text follows a quotation mark");
  fails('[{"patient_id": true}]', "is not text");
});

test("a row that is too short is wrong where it is read for people; columns without a name have no cells", () => {
  const text = "study_uid,subject,session\n1,S,V\n2,S\n";
  assert.throws(() => parseMapping(text, { isWhole: true }), { message: "Row 3 of the table has 2 cells, and the header 3." });
  assert.throws(() => parseMapping("study_uid,subject\n1\n", { isWhole: true }), { message: "Row 2 of the table has 1 cell, and the header 2." });
  assert.equal(parseMapping(text).length, 2);
  assert.equal(parseMapping("study_uid,session,,\n1,V\n", { isWhole: true }).length, 1);
});

test("the first row that matches wins; folders side by side, archives with or without their suffix", () => {
  const rows = parseMapping("folder,patient_id,session\nsite2/sub-01,,A\n,P7,B\nsub-01,,C\n");
  assert.equal(rowFor(rows, study("1", "P7", ["all.zip!site2/sub-01/anat"])).session, "A");
  assert.equal(rowFor(rows, study("1", "P7", ["site1/sub-01"])).session, "B");
  assert.equal(rowFor(rows, study("1", "P8", ["x/sub-01.zip!"])).session, "C");
  assert.equal(rowFor(rows, study("1", "P8", ["site22/sub-011"])), null);
});

test("what is written is read again, left-out studies too", () => {
  const rows = [
    { study_uid: "1.2", session: 'odd, "label"', subject: "S" },
    { folder: "a/b", leaveOut: true },
  ];
  const again = parseMapping(writeMapping(rows));
  assert.deepEqual(again.map(({ study_uid, folder, session, leaveOut }) => [study_uid, folder, session, leaveOut]), [
    ["1.2", "", 'odd, "label"', false],
    ["", "a/b", "", true],
  ]);
});

test("tables as spreadsheets save them", () => {
  const text = "patient_id,session\nMüller,S1\n";
  const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, "utf16le")]);
  for (const data of [Buffer.from(text), utf16, Buffer.from(text, "latin1")]) {
    assert.equal(parseMapping(decodeMapping(new Uint8Array(data)).text)[0].patient_id, "Müller");
  }
});

test("columns that are not known are kept by name, and say nothing", () => {
  const [row] = parseMapping("patient_id,age,session,Centre\nP1,42,S1,Leeds\n");
  assert.deepEqual(row, { number: 2, leaveOut: false, unknown: ["age", "Centre"], patient_id: "P1", session: "S1" });
});

test("a file that is no text is told by what it is, and a guessed encoding is named", () => {
  const encodingOf = (data) => decodeMapping(new Uint8Array(data)).encoding;
  const text = "patient_id,session\nMüller,S1\n";
  assert.deepEqual([encodingOf(Buffer.from(text)), encodingOf(Buffer.from(text, "latin1"))], ["UTF-8", "Windows-1252"]);
  assert.throws(() => encodingOf(Buffer.from("PK\x03\x04 and so on")), /spreadsheet's own format: save the table as CSV/);
  assert.throws(() => encodingOf(Buffer.from(text, "utf16le")), /not text in UTF-8 or UTF-16/);
});

test("a table comes to rows that fit, of which some count, and rows that fit none", () => {
  const studies = [study("1", "P1"), study("2", "P2"), study("3", "P3")];
  const words = (text, how) => tableWords(parseMapping(text), studies, how);
  assert.equal(words("patient_id,session\nP1,a\nP2,b\n"), "2 of 2 rows fit 2 studies.");
  assert.equal(words("patient_id,session\nP1,a\nP1,b\n"), "2 of 2 rows fit 1 study. Rows 2, 3 fit the same study: row 2 counts.");
  assert.equal(words("patient_id,session\nP9,a\nP1,b\n"), "1 of 2 rows fits 1 study. Row 2 of the table fits none.");
  const many = "patient_id,study_uid,session\nP1,,a\n,1,b\n,9,c\n,2,d\nP2,,e\n";
  assert.equal(words(many), "4 of 5 rows fit 2 studies. Row 4 of the table fits none. Rows 2, 3 fit the same study: row 2 counts. So do other rows for 1 other study: the first one counts.");
  assert.equal(words("patient_id,session\nP9,a\n"), "The one row fits no study.");
  assert.equal(words("patient_id,session\nP8,a\nP9,b\n", { isLater: true }), "None of 2 rows fits a study so far; the table holds for those found later, too.");
  assert.match(words("patient_id,session,age\nP1,a,7\n"), /1 of 1 row fits 1 study\. Unknown column “age”: not read\. Known columns: study_uid/);
});
