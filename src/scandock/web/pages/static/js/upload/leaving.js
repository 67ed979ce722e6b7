// What names people in the headers that will leave this machine.

import { number } from "../live/figures.js";
import { isPlaceholder } from "./labels.js";
import { person } from "./names.js";
import { site } from "./options.js";

/** Names and dates in the headers of the studies that will be sent, in sentences. What stands for a name is none; where
 * the images only claim that the identity was removed, what stands there is shown, for a person to judge.
 */
export function leaving(decisions) {
  const series = decisions.flatMap((one) => [...one.study.series, ...(one.study.series.length ? [] : [one.study])]);
  const of = (which, keyword) => [...new Set(which.flatMap((one) => [...valuesOf(one, keyword)]))];
  const namesOf = (which) => of(which, "PatientName").filter((name) => !isPlaceholder(name, site.placeholders));
  const names = namesOf(series.filter((one) => !isRemoved(one)));
  const instead = namesOf(series.filter(isRemoved)).filter((name) => !names.includes(name));
  const births = of(series, "PatientBirthDate");
  const removed = instead.length ? ` The images say that the identity was removed; the name is replaced by ${some(instead)}.` : "";
  if (!names.length && !births.length) return `The headers that were read name no patient and no birth date.${removed}`;
  const people = names.length ? `${number(names.length)} patient ${names.length === 1 ? "name" : "names"} (${some(names)})` : "";
  const dates = births.length ? `${number(births.length)} birth ${births.length === 1 ? "date" : "dates"}` : "";
  return `${[people, dates].filter(Boolean).join(" and ")} will leave this machine in the headers of the images.${removed}`;
}

function some(names) {
  return `${names.slice(0, 3).map(person).join("; ")}${names.length > 3 ? " …" : ""}`;
}

/** Whether every object of a series says PatientIdentityRemoved YES. */
function isRemoved(series) {
  const said = series.values?.PatientIdentityRemoved;
  return said !== undefined && (said.get("YES") ?? 0) === series.objects;
}

/** The values of a series, or of a study that has none, as ECAT's. */
function valuesOf(one, keyword) {
  return one.values === undefined ? one.counts(keyword).keys() : (one.values[keyword]?.keys() ?? []);
}
