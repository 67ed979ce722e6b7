// Answers cases of the naming rules as the page's own modules do: JSON lines of [function, arguments] in, answers out.
import { readFileSync } from "node:fs";
import { load } from "./modules.mjs";

const labels = await load("labels.js");
const { assigned } = await load("comments.js");
const { junkCode, namedLikeImage } = await load("junk.js");
const { placeOf } = await load("layout.js");
const { COLUMNS, MappingError, parseMapping } = await load("mapping_csv.js");
const { isSlip } = await load("slips.js");
const { settle } = await load("settle.js");
const { hasPixels } = await load("sop_classes.js");
const { asDate, asTime, Study } = await load("study.js");
const { decode } = await load("dicom_text.js");

const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));

const ANSWERS = {
  clean: labels.clean,
  person: (name) => labels.person(name),
  plain_person: (name) => labels.plainPerson(name),
  is_placeholder: (text) => labels.isPlaceholder(text),
  label_key: labels.fold,
  name_key: labels.nameKey,
  is_project_id: labels.isProjectId,
  assigned,
  as_date: asDate,
  as_time: asTime,
  has_pixels: hasPixels,
  junk_code: junkCode,
  named_like_image: namedLikeImage,
  decode: (raw, charsets, long) => decode(bytes(raw), charsets === "" ? undefined : bytes(charsets), { long }),
  place_of: (path, outer) => {
    const place = placeOf(path, outer);
    return [place.sessionFolder, place.scanFolder, place.resource, place.isImageFolder, place.isResourceFolder, place.base, place.folders, place.sessionDepth];
  },
  is_slip: (name) => isSlip(name, COLUMNS),
  parse_mapping: (text) => {
    try {
      return parseMapping(text).map((row) => [row.number, ...["study_uid", "patient_id", "folder", "project", "subject", "session"].map((name) => row[name] ?? ""), row.leaveOut]);
    } catch (error) {
      if (!(error instanceof MappingError)) throw error;
      return /^Row (\d+)/.exec(error.message)?.[1] ?? "unreadable";
    }
  },
  settle: (studies, request, projects, kept = {}) => {
    const made = studies.map((facts) => new Study({ ...facts, series: facts.series.map((one) => ({ ...one, values: Object.fromEntries(Object.entries(one.values).map(([name, votes]) => [name, new Map(votes)])) })) }));
    const mapping = request.mapping ? parseMapping(request.mapping) : [];
    const told = settle(made, { ...request, mapping }, { isUsable: (name) => projects.includes(name), kept: (one) => keptOf(one, kept) });
    return told.map((one) => (one.leftOut ? "left out" : [one.project, one.subject, one.label, [...one.held].sort()]));
  },
};

/** What a server answers that has subjects {label: {ids, names}}. */
function keptOf({ former, naming }, subjects) {
  const { commonId } = naming.patients;
  const isPatient = ({ ids, names }) => (commonId && ids.length ? ids.includes(commonId) : former.name !== "" && String(names) === labels.nameKey(former.name));
  const known = new Map(Object.entries(subjects).map(([label, one]) => [labels.fold(label), { label, ...one }]));
  const there = former.labels.map((label) => known.get(labels.fold(label))).filter((one) => one !== undefined);
  return there.find(isPatient)?.label ?? "";
}

for (const line of readFileSync(0, "utf8").split("\n")) {
  if (!line) continue;
  const [name, args] = JSON.parse(line);
  process.stdout.write(JSON.stringify(ANSWERS[name](...args)) + "\n");
}
