// What is known of one study before it is named: counts of its objects' values; as src/scandock/rules/study.py.

import { compare, isPlaceholder } from "./labels.js";

const ECAT_ID_BYTES = 16;
const ECAT_VALUES = { PatientID: "patientId", PatientName: "patientName" };

/** The value with most votes; of several the first in code-point order; "" for none. */
export function mostCommon(votes) {
  let best = "";
  let most = 0;
  for (const [value, count] of votes) {
    if (count > most || (count === most && compare(value, best) < 0)) [best, most] = [value, count];
  }
  return best;
}

/** Facts of a study, as the worker sends them, with the questions that rules ask. */
export class Study {
  #patients = null;

  /** `facts`: {key, uid (null for ECAT alone), series, ecat, sessionFolders, folders, ecatDate, ecatTime}. */
  constructor(facts) {
    Object.assign(this, facts);
    this.remembered = new Map();
  }

  get objects() {
    return this.series.reduce((sum, one) => sum + one.objects, 0) + this.ecat.length;
  }

  /** Images, as the server counts them: an object of many frames has many. */
  get frames() {
    const of = (one) => one.frames ?? one.objects ?? 1;
    return [...this.series, ...this.ecat].reduce((sum, one) => sum + of(one), 0);
  }

  /** How many objects carry each value of an element; ECAT files vote where there is no DICOM. */
  counts(keyword) {
    let votes = this.remembered.get(keyword);
    if (votes !== undefined) return votes;
    votes = new Map();
    for (const one of this.series) {
      for (const [text, count] of one.values[keyword] ?? []) votes.set(text, (votes.get(text) ?? 0) + count);
    }
    if (!this.series.length && keyword in ECAT_VALUES) {
      for (const text of this.ecatTexts(keyword)) if (text) votes.set(text, (votes.get(text) ?? 0) + 1);
    }
    this.remembered.set(keyword, votes);
    return votes;
  }

  /** The value that most objects carry; `absent(value)` has no vote. */
  common(keyword, absent = () => false) {
    return mostCommon([...this.counts(keyword)].filter(([text]) => !absent(text)));
  }

  /** The description that most objects carry, else the one that all ECAT files have; "" for none. */
  get description() {
    const [ecat = "", ...others] = new Set(this.ecat.map((file) => file.description ?? ""));
    return this.common("StudyDescription") || (others.length ? "" : ecat);
  }

  ecatTexts(keyword) {
    return this.ecat.map((file) => file[ECAT_VALUES[keyword]].trim());
  }

  /** The patient: {ids, commonId, commonName}; placeholders count as absent (src/scandock/rules/patients.py). */
  patients(placeholders) {
    if (this.#patients === null || this.#patients.placeholders !== placeholders) {
      this.#patients = { placeholders, are: this.#findPatients(placeholders) }; // asked for each time that a label changes
    }
    return this.#patients.are;
  }

  #findPatients(placeholders) {
    const absent = (text) => isPlaceholder(text, placeholders);
    const ids = [...this.counts("PatientID").keys()].filter((text) => !absent(text));
    for (const text of this.ecatTexts("PatientID")) {
      if (!absent(text) && !ids.some((other) => samePatient(text, other))) ids.push(text);
    }
    ids.sort(compare);
    const commonId = this.common("PatientID", absent) || ids[0] || "";
    return { ids, commonId, commonName: this.common("PatientName", absent) };
  }

  /** yyyyMMdd: the most common StudyDate that is a date, else that of the earliest ECAT scan, else "". */
  get date() {
    return this.#studyDate || this.ecatDate;
  }

  /** HHMMSS, of what `date` is of: the most common StudyTime that is a time, or the earliest ECAT scan's; or "". */
  get time() {
    if (!this.#studyDate) return this.ecatTime ?? "";
    return asTime(this.common("StudyTime", (text) => !asTime(text)));
  }

  get #studyDate() {
    return asDate(this.common("StudyDate", (text) => !asDate(text)));
  }

  /** How many images it shares with another study, as far as both are known one by one. */
  sharedWith(other) {
    if (!this.imageCrcs || !other.imageCrcs) return 0;
    const own = (this.crcSet ??= new Set(this.imageCrcs));
    return other.imageCrcs.reduce((sum, crc) => sum + (own.has(crc) ? 1 : 0), 0);
  }

  get sessionFolder() {
    return mostCommon(Object.entries(this.sessionFolders));
  }
}

/** Whether two PatientIDs are one, knowing that ECAT cuts them at 16 characters. */
export function samePatient(one, other) {
  if (one === other) return true;
  const [short, long] = one.length <= other.length ? [one, other] : [other, one];
  return short.length === ECAT_ID_BYTES && long.startsWith(short);
}

/** A DICOM date as yyyyMMdd, or "" where it is none. */
export function asDate(text) {
  const match = /^(\d{4})[.]?(\d{2})[.]?(\d{2})$/.exec(text.trim());
  if (match === null) return "";
  const [year, month, day] = match.slice(1).map(Number);
  const made = new Date(Date.UTC(2000, month - 1, day));
  made.setUTCFullYear(year, month - 1, day);
  const same = made.getUTCFullYear() === year && made.getUTCMonth() === month - 1 && made.getUTCDate() === day;
  return same && year > 0 ? match.slice(1).join("") : "";
}

/** A DICOM time as HHMMSS, or "" where it is none. */
export function asTime(text) {
  const match = /^(\d{2})(?::?(\d{2})(?::?(\d{2})(?:[.,]\d*)?)?)?$/.exec(text.trim());
  if (match === null) return "";
  const [hour, minute, second] = match.slice(1).map((part) => Number(part ?? 0));
  if (hour > 23 || minute > 59 || second > 60) return "";
  return [hour, minute, Math.min(second, 59)].map((part) => String(part).padStart(2, "0")).join("");
}
