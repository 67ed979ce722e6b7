// All studies of one upload against each other: suffixes where labels meet, and what will be held; as settle.py,
// collisions.py and subjects.py in src/scandock/rules. What the server has already is asked there (`known.js`).

import { fit, fold, nameKey, OWN_ID, textHash } from "./labels.js";
import { nameStudy } from "./naming.js";
import { sideLabel, sidesOf } from "./sides.js";
import { samePatient } from "./study.js";

const LONGER = [6, 12, 24, 48];
const FROM_HEADER = new Set(["PatientName", "PatientID"]);

/** One decision for each study: {study, naming, project, subject, label, held, warnings}; left out ones have none.
 *
 * One that its project separates into PET and MR has `halves`, a decision for each with a label of its own; one of these
 * alone has its `side`. `site.petmr(project)` is what a project does, `site.mapWords` by what maps are known.
 *
 * `held` and `warnings` are lists of codes, as docs/rules.md has them. `former`, where it may have a subject of an
 * earlier version: {labels, name}, which the server is asked of; `site.kept(decision)` is what it answered, or "".
 * `derived`, where the images name its subject: {bare, apart, several}, of which the server is asked as well;
 * `site.subject(decision, label)` is what it answered, as `subjectAmong` takes it.
 */
export function settle(studies, request, site) {
  const cases = studies.map((study) => {
    const naming = nameStudy(study, request, site);
    return {
      study,
      naming,
      project: naming.project.label,
      label: naming.session.label,
      subject: "",
      held: [],
      warnings: naming.session.source === "hash" ? ["label_from_hash"] : [],
      leftOut: naming.leftOut,
    };
  });
  const taken = cases.filter((one) => !one.leftOut);
  for (const one of taken) separate(one, site);
  for (const group of grouped(taken, (one) => one.project).values()) {
    const sessions = group.flatMap((one) => one.halves ?? [one]);
    holdRequestedLabels(sessions);
    tellApart(sessions);
    chooseSubjects(group, site);
    warnOfOthers(group);
  }
  for (const one of taken) if (one.naming.patients.ids.length > 1) one.held.push("patient_mismatch");
  for (const one of taken) for (const half of one.halves ?? []) half.subject = one.subject;
  return cases;
}

/** Let a study that its project separates have both sides; what is held or said of one of them is of both. */
function separate(one, site) {
  if (site.petmr?.(one.project) !== "separate") return;
  const sides = sidesOf(one.study, site.mapWords);
  if (sides.length === 1) [one.side] = sides;
  else if (sides.length) one.halves = sides.map((side) => ({ ...one, side, isHalf: true, label: sideLabel(one.label, side) }));
}

/** A decision, and those of its sides. */
export const withHalves = (one) => [one, ...(one.halves ?? [])];

function holdRequestedLabels(cases) {
  const asked = cases.filter((one) => one.naming.session.requested);
  for (const group of grouped(asked, (one) => fold(one.label)).values()) {
    if (group.length > 1) for (const one of group) one.held.push("label_many_studies");
  }
}

/** Give each study whose label was not requested one of its own: all of a contested label get a suffix. */
function tellApart(cases) {
  const fresh = cases.filter((one) => !one.naming.session.requested);
  const taken = new Set(cases.filter((one) => one.naming.session.requested).map((one) => fold(one.label)));
  const bases = grouped(fresh, (one) => fold(one.label));
  const another = (one) => bases.get(fold(one.label)).length > 1 || taken.has(fold(one.label));
  let contested = fresh.filter((one) => OWN_ID.test(one.label) || another(one));
  for (const key of bases.keys()) taken.add(key);
  const proposals = new Map(contested.map((one) => [one, suffixed(one.label, one.study)]));
  while (contested.length) {
    const offered = new Map(contested.map((one) => [one, proposals.get(one).shift()]));
    const meeting = grouped(contested, (one) => fold(offered.get(one)));
    const settled = new Set();
    const left = [];
    for (const one of contested) {
      const label = offered.get(one);
      const key = fold(label);
      if ((meeting.get(key).length > 1 || taken.has(key)) && proposals.get(one).length) {
        left.push(one);
        continue;
      }
      one.warnings.push(OWN_ID.test(one.label) ? "label_own_id" : "label_suffixed");
      one.label = label;
      settled.add(key);
    }
    for (const key of settled) taken.add(key);
    contested = left;
  }
}

/** The labels that a study may get instead of `label`, the first to be tried first. */
function suffixed(label, study) {
  const dated = study.date ? [fit(label, `_${study.date}`)] : [];
  if (study.date && study.time) dated.push(fit(label, `_${study.date}_${study.time}`));
  return [...dated, ...LONGER.map((digits) => fit(label, "_" + textHash(study.uid ?? study.key, digits)))];
}

function chooseSubjects(cases, site) {
  keepFormerSubjects(cases.filter((one) => one.naming.subject.former), site);
  for (const one of cases) one.subject ||= one.naming.subject.label || one.label;
  for (const group of grouped(cases, (one) => fold(one.subject)).values()) tellPatientsApart(group, site);
  const asked = cases.filter((one) => one.naming.subject.requested);
  for (const group of grouped(asked, (one) => fold(one.naming.subject.label)).values()) {
    const names = tokens(group).filter((_, at) => group[at].naming.patients.ids.length);
    if (new Set(names).size > 1 || group.some((one) => one.naming.patients.ids.length > 1)) {
      for (const one of group) one.held.push("subject_many_patients");
    }
  }
  for (const group of grouped(cases, (one) => fold(one.subject)).values()) {
    const kept = group.filter((one) => one.keepsSubject).map((one) => one.subject);
    const named = group.filter((one) => one.naming.subject.requested).map((one) => one.subject);
    const [spelled] = [kept, named, group.map((one) => one.subject)].find((labels) => labels.length).sort();
    for (const one of group) one.subject = spelled;
  }
}

/** Leave a patient's sessions at the subject whose label an earlier version made of the name: what the server says. */
function keepFormerSubjects(cases, site) {
  for (const group of grouped(cases, (one) => fold(one.naming.subject.former)).values()) {
    const whole = tokens(group);
    const bearers = new Map();
    group.forEach((one, at) => {
      if (one.naming.patients.commonId) bearers.set(nameOf(one), (bearers.get(nameOf(one)) ?? new Set()).add(whole[at]));
    });
    group.forEach((one, at) => {
      const { former } = one.naming.subject;
      const decides = !one.naming.patients.commonId || bearers.get(nameOf(one)).size === 1;
      const apart = whole[at] ? [fit(former, "_" + textHash(whole[at], 6))] : [];
      one.former = { labels: [former, ...apart], name: decides ? one.naming.patients.commonName : "" };
      one.subject = site.kept?.(one) ?? "";
      one.keepsSubject = one.subject !== "";
    });
  }
}

const nameOf = (one) => nameKey(one.naming.patients.commonName);

function tellPatientsApart(group, site) {
  const names = tokens(group);
  const several = new Set(names.filter(Boolean)).size > 1;
  group.forEach((one, at) => {
    if (one.naming.subject.requested || one.keepsSubject) return;
    if (OWN_ID.test(one.subject)) {
      one.warnings.push("label_own_id");
      one.subject = fit(one.subject, "_" + textHash(names[at] || one.subject, 6));
      return;
    }
    if (!names[at]) return;
    if (!FROM_HEADER.has(one.naming.subject.source)) {
      if (several) one.warnings.push("subject_other_patient");
      return;
    }
    one.derived = { bare: one.subject, apart: fit(one.subject, "_" + textHash(names[at], 6)), several };
    one.subject = subjectAmong(one.derived, (label) => site.subject?.(one, label) ?? null);
    if (several && fold(one.subject) === fold(one.derived.apart)) one.warnings.push("subjects_told_apart");
  });
}

/** The subject of a patient among those that are there: `there(label)` is {label, own} of one that is the patient's (`own`),
 * or certainly another's, else null. As `_separate_patients` of src/scandock/rules/subjects.py has it. */
export function subjectAmong({ bare, apart, several }, there) {
  if (there(bare)?.own) return there(bare).label;
  if (several || there(bare) || there(apart)?.own) return there(apart)?.label ?? apart;
  return bare;
}

/** One patient under several subjects, and ECAT files in several sessions; as src/scandock/rules/related_sessions.py. */
function warnOfOthers(cases) {
  const known = cases.filter((one) => one.naming.patients.commonId);
  for (const group of grouped(known, (one) => one.naming.patients.commonId).values()) {
    if (new Set(group.map((one) => fold(one.subject))).size > 1) for (const one of group) one.warnings.push("patient_many_subjects");
  }
  const holders = new Map();
  for (const one of cases) {
    for (const file of one.study.ecat) holders.set(file.sha256, (holders.get(file.sha256) ?? new Set()).add(one));
  }
  for (const one of cases) if (one.study.ecat.some((file) => holders.get(file.sha256).size > 1)) one.warnings.push("ecat_elsewhere");
}

/** What stands for each case's patient: PatientID, else the name; equal for what counts as one patient. */
function tokens(group) {
  const ids = new Set(group.map((one) => one.naming.patients.commonId));
  const whole = (one) => {
    const own = one.naming.patients.commonId;
    if (one.study.uid !== null) return own;
    const longer = [...ids].filter((other) => other.length > own.length && samePatient(own, other));
    return longer.length === 1 ? longer[0] : own;
  };
  const ofName = new Map();
  for (const one of group) {
    const { commonId, commonName } = one.naming.patients;
    if (!commonId) continue;
    const key = nameKey(commonName);
    ofName.set(key, (ofName.get(key) ?? new Set()).add(whole(one)));
  }
  return group.map((one) => {
    const { commonId, commonName } = one.naming.patients;
    const key = nameKey(commonName);
    if (commonId) return whole(one);
    const same = ofName.get(key);
    return same?.size === 1 ? [...same][0] : key;
  });
}

export function grouped(items, keyOf) {
  const groups = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (groups.has(key)) groups.get(key).push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

