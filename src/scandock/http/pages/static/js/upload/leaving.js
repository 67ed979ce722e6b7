// What names people in the headers that will leave this machine.

import { number } from "../live/figures.js";
import { isPlaceholder } from "./labels.js";
import { person } from "./names.js";
import { site } from "./options.js";

/** Names and dates in the headers of the studies that will be sent, in a sentence. What stands for a name is none. */
export function leaving(decisions) {
  const series = decisions.flatMap((one) => [...one.study.series, ...(one.study.series.length ? [] : [one.study])]);
  const of = (keyword) => new Set(series.filter((one) => !isRemoved(one)).flatMap((one) => [...valuesOf(one, keyword)]));
  const names = [...of("PatientName")].filter((name) => !isPlaceholder(name, site.placeholders));
  const births = [...new Set(series.flatMap((one) => [...valuesOf(one, "PatientBirthDate")]))];
  if (!names.length && !births.length) return "The headers that were read name no patient and no birth date.";
  const first = names.slice(0, 3).map((name) => person(name));
  const people = names.length ? `${number(names.length)} patient ${names.length === 1 ? "name" : "names"} (${first.join("; ")}${names.length > 3 ? " …" : ""})` : "";
  const dates = births.length ? `${number(births.length)} birth ${births.length === 1 ? "date" : "dates"}` : "";
  return `${[people, dates].filter(Boolean).join(" and ")} will leave this machine in the headers of the images.`;
}

/** Whether every object of a series says PatientIdentityRemoved YES: the name that is there was put in its place. */
function isRemoved(series) {
  const said = series.values?.PatientIdentityRemoved;
  return said !== undefined && (said.get("YES") ?? 0) === series.objects;
}

/** The values of a series, or of a study that has none, as ECAT's. */
function valuesOf(one, keyword) {
  return one.values === undefined ? one.counts(keyword).keys() : (one.values[keyword]?.keys() ?? []);
}
