// The main header of an ECAT 7 file, as much as names and shows a session (xnat-behaviour.md 3.4).

import { latin1 } from "./blocks.js";
import { strip } from "./dicom_text.js";
import { upToNul } from "./tar_header.js";

const RECORD = 512;
const IMAGE_TYPES = new Set([2, 6, 7, 10]); // sinograms and what else is raw have no images

/** {kind: "ecat", patientId, patientName, description, started (Unix seconds), frames}, or {kind: "unparseable", code}. */
export function readEcat(head, size) {
  if (latin1(head.subarray(0, 7)) !== "MATRIX7") return { kind: "other" };
  if (size < RECORD || head.length < RECORD) return { kind: "unparseable", code: "ecat_truncated" };
  const view = new DataView(head.buffer, head.byteOffset, RECORD);
  const isVersion = (number) => number >= 70 && number < 80;
  const little = !isVersion(view.getInt16(46)) && isVersion(view.getInt16(46, true));
  const type = view.getInt16(50);
  if (!little && !isVersion(view.getInt16(46)) && (type < 0 || type > 14)) return { kind: "unparseable", code: "not_ecat" };
  const text = (at, length) => strip(latin1(upToNul(head.subarray(at, at + length))).replace(/[\x00-\x1f\x7f-\x9f]+/g, " "));
  return {
    kind: "ecat",
    patientId: text(166, 16),
    patientName: text(182, 32),
    description: text(296, 32),
    started: view.getUint32(62, little),
    frames: IMAGE_TYPES.has(little ? view.getInt16(50, true) : type) ? Math.max(1, view.getUint16(354, little)) : 0,
  };
}
