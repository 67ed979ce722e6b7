// ECAT files to sessions: by `{session_id}` folder, else patient and scan date, else a hash; as
// src/scandock/rules/ecat_groups.py.

import { clean, compare, fold, isPlaceholder } from "./labels.js";
import { splitBase } from "./layout.js";
import { samePatient, Study } from "./study.js";
import { grouped } from "./settle.js";

const INSIDE = new Set(["scans", "resources", "assessors"]);

/** Studies (facts) once the ECAT files have joined them; `files`: {path, folder, sha256, patientId, patientName, started}.
 *
 * `zone` is an IANA name: ECAT's clock gives seconds, the date is local.
 */
export function groupEcat(files, studies, zone = "UTC") {
  const found = new Map(studies.map((study) => [study.key, study]));
  const sorted = [...files].sort((one, other) => compare(one.sha256, other.sha256) || compare(one.path, other.path));
  const groups = grouped(sorted, (file) => JSON.stringify(groupOf(file, zone)));
  for (const [key, group] of splitRoots(groups)) {
    const made = studyOf(key, group, zone);
    const host = hostOf(made, [...found.values()]);
    const study = host === null ? made : joined(host, made);
    found.set(study.key, study);
  }
  return [...found.values()];
}

/** The date (yyyyMMdd) of a scan's start in `zone`, or "" where it is unset. */
function scanDate(seconds, zone) {
  return scanStart(seconds, zone).slice(0, 8);
}

/** Date and time (yyyyMMddHHMMSS) of a scan's start in `zone`, or "" where it is unset. */
function scanStart(seconds, zone) {
  if (!(seconds > 0)) return "";
  const named = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };
  const format = new Intl.DateTimeFormat("en-CA", { timeZone: zone, hourCycle: "h23", ...named });
  const parts = Object.fromEntries(format.formatToParts(new Date(seconds * 1000)).map((part) => [part.type, part.value]));
  return Object.keys(named).map((name) => parts[name]).join("");
}

function groupOf(file, zone) {
  if (clean(file.folder)) return ["folder", fold(file.folder)];
  const patient = file.patientId.trim();
  if (clean(patient) && !isPlaceholder(patient)) return ["patient", patient, scanDate(file.started, zone)];
  return ["hash", file.sha256];
}

/** [key, files] of each session. Folders of one name in several places are one, unless their patients differ. */
function splitRoots(groups) {
  const made = new Map();
  const add = (key, files) => made.set(key, [...(made.get(key) ?? []), ...files]);
  for (const [text, files] of groups) {
    const group = JSON.parse(text);
    if (group[0] !== "folder") {
      add(["ecat", ...group].join(":"), files);
      continue;
    }
    const roots = grouped(files, (file) => rootOf(file.path, file.folder));
    const parts = patientsOf(files).length > 1 ? roots.values() : [files];
    for (const some of parts) add(`ecat:folder:${group[1]}:${patientsOf(some).join("|")}`, some);
  }
  return [...made].sort(([one], [other]) => compare(one, other));
}

function patientsOf(files) {
  const ids = new Set(files.map((file) => file.patientId.trim()).filter((text) => !isPlaceholder(text)));
  return [...ids].sort(compare);
}

function studyOf(key, files, zone) {
  const distinct = new Map(files.map((file) => [file.sha256, file]));
  const folders = files.map((file) => file.folder).filter(clean);
  const [folder] = [...new Set(folders)].sort(
    (one, other) => count(folders, other) - count(folders, one) || compare(one, other),
  );
  const [start = ""] = [...distinct.values()].map((file) => scanStart(file.started, zone)).filter(Boolean).sort();
  return {
    key,
    uid: null,
    series: [],
    ecat: [...distinct.values()],
    sessionFolders: folder ? { [folder]: distinct.size } : {},
    folders: [...new Set(files.map((file) => splitBase(file.path)[0]))],
    ecatDate: start.slice(0, 8),
    ecatTime: start.slice(8),
  };
}

const count = (items, wanted) => items.filter((item) => item === wanted).length;

/** The DICOM study that shares the ECAT session's folder, or null. */
function hostOf(made, studies) {
  const own = new Study(made);
  const folder = own.sessionFolder;
  if (!folder) return null;
  const ids = own.patients().ids;
  const mine = rootsOf(made, folder);
  const [found, same] = [[], []];
  for (const facts of studies) {
    const study = new Study(facts);
    if (facts.uid === null || fold(study.sessionFolder) !== fold(folder)) continue;
    const theirs = study.patients().ids;
    const differ = ids.some((id) => theirs.length && !theirs.some((other) => samePatient(id, other)));
    const theirRoots = rootsOf(facts, folder);
    if (!differ || [...mine].some((root) => theirRoots.has(root))) found.push(facts);
    if (ids.length && theirs.length && !differ) same.push(facts);
  }
  if (found.length === 1) return found[0];
  return same.length === 1 ? same[0] : null;
}

function joined(host, made) {
  const folder = new Study(host).sessionFolder;
  const [start = ""] = [host, made].map((one) => one.ecatDate + (one.ecatTime ?? "")).filter(Boolean).sort();
  return {
    ...host,
    ecat: [...host.ecat, ...made.ecat],
    sessionFolders: { ...host.sessionFolders, [folder]: (host.sessionFolders[folder] ?? 0) + made.ecat.length },
    folders: [...new Set([...host.folders, ...made.folders])],
    ecatDate: start.slice(0, 8),
    ecatTime: start.slice(8),
  };
}

function rootsOf(study, folder) {
  return new Set(study.folders.map((path) => rootOf(path, folder)).filter(Boolean));
}

/** The path up to and with its folder `folder` (the one before `scans` or `resources`, else the first); or "". */
function rootOf(path, folder) {
  const pieces = path.split(/[/\\!]+/);
  const places = pieces.map((piece, at) => (fold(piece) === fold(folder) ? at : -1)).filter((at) => at >= 0);
  const inside = places.filter((at) => pieces[at + 1] && INSIDE.has(fold(pieces[at + 1])));
  const at = [...inside, ...places][0];
  return at === undefined ? "" : pieces.slice(0, at + 1).join("/");
}
