// What the server removes before it stores anything, and which labels it sets itself by that; as
// src/scandock/rules/hidden_labels.py.

import { UNASSIGNED } from "./labels.js";
import { named, project, site } from "./options.js";

export const BY_SERVER = "set by the server";

/** {names, study_uid, patient, words} of a project. */
function privacyOf(name) {
  return site.privacy.projects[named(name) ?? name] ?? site.privacy.site;
}

/** What is removed from uploads as the form is now, in sentences; "" where nothing is. */
export function removedWords() {
  if (!site.privacy) return "";
  return (project() ? privacyOf(project()) : site.privacy.unnamed).words;
}

/** Whether the server stores a decision's study under another UID. */
export function hidesStudy(one) {
  return Boolean(site.privacy) && privacyOf(one.project === UNASSIGNED ? "" : one.project).study_uid !== "keep";
}

/** Whether the server sets a label ("subject" or "session") of a decision by itself: what the images name would say whose
 * they are. One that was asked for stays. */
export function isByServer(one, column) {
  if (one === null || !site.privacy || !LABELS.includes(column)) return false;
  const choice = one.naming[column];
  const privacy = privacyOf(one.project === UNASSIGNED ? "" : one.project);
  if (choice.requested) return false;
  if (choice.source === "session") return isByServer(one, "session");
  if (choice.source === "folder" && privacy.names !== "keep") return true;
  return privacy.patient !== "keep" || (privacy.study_uid !== "keep" && (choice.source === "hash" || UID.test(choice.label)));
}

const LABELS = ["subject", "session"];
const UID = /(?<![0-9])[0-2](?:_[0-9]+){5,}/; // as one stands in a label
