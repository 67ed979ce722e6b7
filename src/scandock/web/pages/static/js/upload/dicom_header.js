// What the preview wants of one DICOM object: its UIDs, and what names project, subject and session (rules.md).

import { latin1, u16 } from "./blocks.js";
import { scan } from "./dicom_scan.js";
import { decode, uid } from "./dicom_text.js";
import { inflateHead } from "./inflate.js";
import { looksLikeDicom, LONG, SHORT } from "./kinds.js";
import { hasPixels } from "./sop_classes.js";

const CODED = { inCharset: true };
const PLAIN = { inCharset: false };
const TEXTS = new Map([
  [0x00080020, ["StudyDate", PLAIN]],
  [0x00080030, ["StudyTime", PLAIN]],
  [0x00080050, ["AccessionNumber", CODED]],
  [0x00080060, ["Modality", PLAIN]],
  [0x00081030, ["StudyDescription", CODED]],
  [0x0008103e, ["SeriesDescription", CODED]],
  [0x00100010, ["PatientName", CODED]],
  [0x00100020, ["PatientID", CODED]],
  [0x00100030, ["PatientBirthDate", PLAIN]],
  [0x001021b0, ["AdditionalPatientHistory", { inCharset: true, long: true }]],
  [0x00104000, ["PatientComments", { inCharset: true, long: true }]],
  [0x00120062, ["PatientIdentityRemoved", PLAIN]],
  [0x00200011, ["SeriesNumber", PLAIN]],
  [0x00324000, ["StudyComments", { inCharset: true, long: true }]],
]);
const CHARSET = 0x00080005;
const [CLASS, SOP, STUDY, SERIES] = [0x00080016, 0x00080018, 0x0020000d, 0x0020000e];
const FRAMES = 0x00280008;
const WANTED = new Set([...TEXTS.keys(), CHARSET, CLASS, SOP, STUDY, SERIES, FRAMES]);
const [MEDIA_CLASS, SYNTAX] = [0x00020002, 0x00020010];
const META = new Set([MEDIA_CLASS, SYNTAX]);
export const DEFLATED = "1.2.840.10008.1.2.1.99";
const BIG = "1.2.840.10008.1.2.2";
const DICOMDIR = "1.2.840.10008.1.3.10";
const LAST_NAMING = 0x00200011; // what names an object stands up to here, but for the comments of a study
const LAST = 0x00324000;
const LAST_IDENTIFYING_GROUP = 0x28;
const MOST = 4 * 1024 * 1024;
const MANY_FRAMES = [2 * 1024 * 1024, 64 * 1024]; // an object as large as this may have many: so much is read to see

/** The header of an object of `size` bytes that begins with `head`; `more(n)` gives its first n bytes, where need be.
 *
 * `deep` reads on to the comments of the study, which may stand behind large private elements. One of:
 * {kind: "dicom", study, series, sop, values, frames}, {kind: "dicomdir"}, {kind: "unparseable", code}, {kind: "other"} (no
 * DICOM), {kind: "unsure"} (only the server can tell).
 */
export async function readHeader(head, size, { more = null, deep = false } = {}) {
  if (!looksLikeDicom(head, size)) return { kind: "other" };
  const { meta, hasMeta, at, syntax } = readMeta(head);
  if (meta.end === "short" && meta.need <= size && more !== null) {
    return readHeader(await more(meta.need + 4096), size, { deep });
  }
  if (uid(meta.values.get(MEDIA_CLASS)) === DICOMDIR) return { kind: "dicomdir" };
  if (meta.end === "short" && hasMeta) return { kind: "unparseable", code: "header_truncated" };
  if (syntax === DEFLATED) return deflated(head, at, size, more);
  return dataset(head, at, size, syntax, { more, deep });
}

/** The file meta information, and where the data set begins in which transfer syntax. */
export function readMeta(head) {
  const hasPreamble = latin1(head.subarray(128, 132)) === "DICM";
  const meta = scan(head, hasPreamble ? 132 : 0, true, false, META, 0x0002ffff);
  const hasMeta = meta.values.size > 0 || meta.number >>> 16 === 2;
  const at = hasMeta || meta.end === "last" ? meta.pos : hasPreamble ? 132 : 0;
  return { meta, hasMeta, at, syntax: uid(meta.values.get(SYNTAX)) };
}

/** How the data set at `at` is written: {explicit, big}. */
export function encodingOf(head, at, syntax) {
  const vr = String.fromCharCode(head[at + 4], head[at + 5]);
  const big = syntax === BIG || (!syntax && (SHORT.has(vr) || LONG.has(vr)) && u16(head, at) >= 0x0400);
  return { explicit: /^[A-Z]{2}$/.test(vr), big };
}

async function deflated(head, at, size, more) {
  const packed = more === null || head.length >= size ? head : await more(Math.min(size, MOST));
  const data = await inflateHead(packed.subarray(at), MOST);
  return dataset(data, 0, data.length < MOST ? data.length : Infinity, "", { more: null, deep: true });
}

async function dataset(head, at, size, syntax, { more, deep }) {
  if (head.length < at + 8) return { kind: "unparseable", code: "header_truncated" };
  const { explicit, big } = encodingOf(head, at, syntax);
  const last = deep ? LAST : LAST_NAMING;
  let found = scan(head, at, explicit, big, WANTED, last);
  let bytes = head;
  for (let tries = 0; found.end === "short" && more !== null && tries < 8; tries += 1) {
    const need = Math.max(found.need, Math.min(4 * bytes.length, MOST));
    if (bytes.length >= size || found.need > size + 16 || found.need > MOST) break;
    const longer = await more(Math.min(need, size));
    if (longer.length <= bytes.length) break;
    bytes = longer;
    found = scan(bytes, at, explicit, big, WANTED, last);
  }
  const told = judged(found, size, bytes.length >= size || found.need > size + 16, big);
  if (told.kind === "dicom") {
    const shown = hasPixels(told.sopClass, told.values.Modality ?? "");
    told.frames = shown ? await framesOf(found, bytes, size, { explicit, big, more }) : 0;
  }
  return told;
}

/** The number of frames, which stands behind what names an object: 1 where it is not at hand. */
async function framesOf(found, bytes, size, { explicit, big, more }) {
  const behind = (data) => scan(data, found.pos, explicit, big, new Set([FRAMES]), FRAMES);
  const [large, enough] = MANY_FRAMES;
  let { values } = found;
  if (!values.has(FRAMES) && found.end === "last") {
    let next = behind(bytes);
    if (next.end === "short" && size >= large && bytes.length < enough && more !== null) next = behind(await more(enough));
    values = next.values;
  }
  return Math.max(1, parseInt(latin1(values.get(FRAMES) ?? new Uint8Array(0)), 10) || 1);
}

function judged(found, size, whole, big) {
  const { values } = found;
  const [study, series, sop] = [STUDY, SERIES, SOP].map((tag) => uid(values.get(tag)));
  if (uid(values.get(CLASS)) === DICOMDIR) return { kind: "dicomdir" };
  if (found.end === "odd" && !(study && series && sop)) return { kind: "unsure" };
  const endsThere = found.pos <= size && found.pos + 8 > size; // behind its last element, as it should
  if (found.end === "short" && !endsThere) {
    const identified = study && series && sop;
    if (!whole && !identified) return { kind: "unsure" };
    const behind = found.number >>> 16 > LAST_IDENTIFYING_GROUP;
    if (whole && !(identified && behind)) return { kind: "unparseable", code: "header_truncated" };
  }
  if (!study) return { kind: "unparseable", code: "no_study_uid" };
  if (!series) return { kind: "unparseable", code: "no_series_uid" };
  if (!sop) return { kind: "unparseable", code: "no_sop_uid" };
  const texts = {};
  for (const [tag, [keyword, how]] of TEXTS) {
    const raw = values.get(tag);
    if (raw === undefined || raw.length === 0) continue;
    const text = decode(raw, values.get(CHARSET), how);
    if (text) texts[keyword] = text;
  }
  return { kind: "dicom", study, series, sop, sopClass: uid(values.get(CLASS)), values: texts, big };
}
