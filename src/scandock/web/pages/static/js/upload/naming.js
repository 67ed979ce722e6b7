// What one study would be called, from the request and its own facts alone; as src/scandock/rules/naming.py.

import { candidates } from "./comments.js";
import { clean, fold, isProjectId, person, plainPerson, textHash, UNASSIGNED } from "./labels.js";
import { rowFor } from "./mapping_csv.js";

/** {project, subject, session, patients, row}: the first three each {label, source, requested, raw}.
 *
 * `request`: {project, subject, session, mapping (rows)}, `site`: {placeholders, isUsable(project)}. The label of a
 * subject is "" where it is called as the session will be; `former` is what earlier versions called it, where that is
 * another label. `row` is the mapping's row that matched, or null.
 */
export function nameStudy(study, request, site) {
  const row = rowFor(request.mapping, study);
  const patients = study.patients(site.placeholders);
  return {
    project: projectOf(study, request, site, row),
    session: sessionOf(study, request, row, patients),
    subject: subjectOf(study, request, site, row, patients),
    patients,
    row,
    leftOut: row !== null && row.leaveOut,
  };
}

function projectOf(study, request, site, row) {
  const named = asked(row, "project", request.project);
  if (named !== null) return { label: named.text, source: named.source, requested: true, raw: named.text };
  const found = candidates("Project", study);
  for (const keyword of ["StudyDescription", "AccessionNumber"]) found.push([study.common(keyword), keyword]);
  for (const [text, source] of found) {
    const label = text.trim();
    if (isProjectId(label) && site.isUsable(label)) return { label, source, requested: false, raw: text };
  }
  return { label: UNASSIGNED, source: "none found", requested: false, raw: "" };
}

function sessionOf(study, request, row, patients) {
  const explicit = explicitly("Session", study, row, request.session);
  if (explicit !== null) return explicit;
  const folder = study.sessionFolder;
  if (clean(folder)) return derived(folder, "folder");
  if (study.uid === null) return ecatSession(study, patients);
  if (clean(patients.commonId)) return derived(patients.commonId, "PatientID");
  return { label: `study_${textHash(study.uid, 8)}`, source: "hash", requested: false, raw: study.uid };
}

/** ECAT alone is known by its label, so that is made of what tells the session: PATIENT_ID and scan date. */
function ecatSession(study, patients) {
  const raw = patients.commonId;
  if (!clean(raw)) return { label: `ecat_${textHash(study.key, 8)}`, source: "hash", requested: false, raw: study.key };
  if (!study.ecatDate) return derived(raw, "PATIENT_ID");
  return derived(`${raw}_${study.ecatDate}`, "PATIENT_ID and scan date");
}

function subjectOf(study, request, site, row, patients) {
  const explicit = explicitly("Subject", study, row, request.subject);
  if (explicit !== null) return explicit;
  const former = plainPerson(patients.commonName, site.placeholders) || clean(patients.commonId);
  const found = fromHeaders(patients, site);
  return fold(former) === fold(found.label) ? found : { ...found, former };
}

function fromHeaders(patients, site) {
  const label = person(patients.commonName, site.placeholders);
  if (label) return { label, source: "PatientName", requested: false, raw: patients.commonName };
  if (clean(patients.commonId)) return derived(patients.commonId, "PatientID");
  return { label: "", source: "session", requested: false, raw: "" };
}

/** What was asked for, else what a comment says. */
function explicitly(kind, study, row, requested) {
  const named = asked(row, kind.toLowerCase(), requested);
  if (named !== null) return { label: clean(named.text), source: named.source, requested: true, raw: named.text };
  const [found] = candidates(kind, study);
  return found !== undefined && clean(found[0]) ? derived(...found) : null;
}

function asked(row, column, requested) {
  if (row !== null && row[column]) return { text: row[column], source: `mapping row ${row.number}` };
  const text = (requested ?? "").trim();
  return text ? { text, source: "request" } : null;
}

function derived(raw, source) {
  return { label: clean(raw), source, requested: false, raw };
}

