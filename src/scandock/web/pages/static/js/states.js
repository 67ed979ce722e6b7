// The one table of states: by which word and color people see them, how they are said aloud, and what one does then.

/** An upload of this tab. `acts` are keys of ACTS; some stand only where the upload itself says so. */
export const TRANSFERS = {
  waiting: { word: "queued", look: "", acts: ["pause", "cancel"] },
  running: { word: "uploading", look: "running", acts: ["pause", "cancel"] },
  "held up": { word: "retrying", look: "held", acts: ["login", "now", "pause", "cancel"] },
  paused: { word: "paused", look: "held", acts: ["resume", "cancel"] },
  elsewhere: { word: "elsewhere", look: "", acts: ["here"] },
  stopped: { word: "stopped", look: "failed", acts: ["again", "retry", "choose", "cancel"] },
  done: { word: "uploaded", look: "running", acts: ["stop"] },
  cancelled: { word: "cancelled", look: "", acts: ["again"] },
};

/** An import, as the server calls its states. `says` follows its archive's name. */
export const IMPORTS = {
  receiving: { word: "uploading", look: "running", says: "is being received", acts: [] },
  received: { word: "uploaded", look: "running", says: "waits for its turn", acts: ["stop"] },
  running: { word: "importing", look: "running", says: "is being imported", acts: ["stop"] },
  placed: { word: "imported", look: "placed", says: "is imported", acts: ["details"] },
  held: { word: "held for review", look: "held", says: "is held for review", acts: ["details"] },
  partly: { word: "imported in part", look: "partly", says: "is imported in part", acts: ["details"] },
  refused: { word: "refused", look: "refused", says: "was refused", acts: ["another", "details"] },
  failed: { word: "failed", look: "failed", says: "failed", acts: ["repeat", "details"] },
  cancelled: { word: "cancelled", look: "", says: "was cancelled", acts: ["again", "details"] },
  forgotten: { word: "deleted", look: "", says: "was deleted", acts: [] },
};

/** A session of an import, by where it is now; `link` is what leads to it. */
export const SESSIONS = {
  archived: { word: "archived", look: "archive", link: "Open" },
  stored: { word: "already stored", look: "", link: "Open" },
  prearchive: { word: "in the prearchive", look: "prearchive", link: "Review" },
  needs_decision: { word: "held for review", look: "conflict", link: "Decide" },
  refused: { word: "refused", look: "refused", link: "" },
  left_out: { word: "left out", look: "", link: "" },
  deleted: { word: "deleted", look: "", link: "" },
  out_of_sight: { word: "moved to another project", look: "", link: "" },
  hidden: { word: "not visible to you", look: "", link: "" },
  unknown: { word: "not found", look: "", link: "" },
};

/** What an import is at, by the server's word for it. */
export const STAGES = {
  opening: "opening the archive",
  reading: "reading its files",
  deciding: "sorting into sessions",
  placing: "storing sessions",
  syncing: "saving to disk",
};

/** Why a session is held for review, by its code. */
export const HELD_FOR = {
  patient_mismatch: "Its images have different patient IDs.",
  label_many_studies: "Another study has its label.",
  subject_many_patients: "Its subject belongs to several patients.",
  study_elsewhere: "Its study has another label in the project.",
  subject_differs: "It belongs to another subject in the project.",
  session_exists: "It is archived already.",
  type_differs: "It is archived as another type of session.",
  identified: "Its images are not marked as de-identified.",
  sop_clash: "Some images came in different versions.",
};

/** Why an archive has nothing to be stored: it has no images, or none of them can be read. */
export const NO_IMAGE = "There is no image in it.";
export const NONE_READABLE = "None of its images can be read.";

/** Why an archive was refused, by its code, where the server's sentence is more than a person needs. */
export const REFUSED_FOR = {
  unparseable_entries: "Files that should be images can't be read. Take them out, or upload it with “Ignore unreadable files” on. Details names them.",
  no_images: NO_IMAGE,
  all_filtered: "Import filters or scripts leave out all of its images. Details names them.",
};

/** What buttons say, in their order. */
export const ACTS = {
  login: "Log in",
  now: "Retry now",
  resume: "Go on",
  here: "Go on here",
  retry: "Retry",
  repeat: "Retry",
  again: "Start again",
  choose: "Choose it again",
  another: "Choose another file",
  details: "Details",
  pause: "Pause",
  cancel: "Cancel",
  stop: "Cancel",
};

const ENDED = new Set(["placed", "held", "partly", "refused", "failed", "cancelled", "forgotten"]);

export const isEnded = (state) => ENDED.has(state);

/** The key of a session in SESSIONS, of what the server says became of it. */
export function sessionState({ now, code, new: fresh }) {
  if (now === "refused") return code === "left_out" || code === "all_filtered" ? "left_out" : "refused";
  return now === "archived" && fresh === 0 ? "stored" : now;
}
