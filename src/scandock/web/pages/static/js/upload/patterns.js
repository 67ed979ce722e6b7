// Labels by a pattern: text with the names of fields in braces, filled in for each study.

import { shown } from "./names.js";

const VALUES = {
  PatientID: (one) => one.naming.patients.commonId,
  PatientName: (one) => one.naming.patients.commonName,
  StudyDate: (one) => one.study.date,
  StudyDescription: (one) => one.study.common("StudyDescription"),
  AccessionNumber: (one) => one.study.common("AccessionNumber"),
  Modality: (one) => one.study.common("Modality"),
  Folder: (one) => one.study.sessionFolder || (one.study.folders[0] ?? "").split(/[/\\!]+/).filter(Boolean).at(-1) || "",
  Archive: (one, pick) => pick.name.replace(/\.(zip|tgz|tar(\.\w+)?)$/i, ""),
  Label: (one) => one.label,
  Subject: (one) => one.subject,
};

/** What may stand in a pattern, but for what counts. */
export const FIELDS = Object.keys(VALUES).map((name) => `{${name}}`).join(", ");

/** The text that a pattern gives for a study: `{PatientID}_{StudyDate}`; `{n}` counts, `{n:3}` with three digits. */
export function filled(pattern, one, pick, n) {
  return pattern.replace(/\{(\w+)(?::(\d))?\}/g, (whole, name, digits) => {
    if (name === "n") return String(n).padStart(Number(digits ?? 1), "0");
    return VALUES[name] ? VALUES[name](one, pick) : whole;
  });
}

/** What is wrong with a pattern, in words; "" where it can be filled in. */
export function patternProblem(pattern) {
  if (!pattern.trim()) return "Enter a pattern.";
  const unknown = [...pattern.matchAll(/\{([^{}]*)\}/g)].filter(([, name]) => !Object.hasOwn(VALUES, name) && !/^n(:\d)?$/.test(name));
  if (unknown.length) return `There is no field ${[...new Set(unknown.map(([whole]) => shown(whole)))].join(", ")}.`;
  const [alone] = pattern.replace(/\{[^{}]*\}/g, (field) => " ".repeat(field.length)).match(/[{}]/) ?? [];
  if (alone === "{") return "A brace is not closed: { has no }.";
  return alone ? "A brace is not opened: } has no {." : "";
}
