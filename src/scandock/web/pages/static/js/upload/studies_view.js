// The studies of one archive as a table, in which each can be renamed and left out.

import { number, plural } from "../live/figures.js";
import { button, keyed, make, set, show } from "./dom.js";
import { clean } from "./labels.js";
import { person, shown } from "./names.js";
import { notesOf } from "./notes.js";
import { keyOf } from "./picks.js";

const SHOWN = 50;

/** {element, update}: the table of a pick. */
export function studiesView(pick) {
  let most = SHOWN;
  const body = make("tbody");
  const more = button("Show more", () => {
    most += 200;
    update();
  });
  const heads = ["Take", "Study", "Patient", "Subject", "Session", "Scans", "Images"];
  const head = make("tr", {}, ...heads.map((words, at) => make("th", { scope: "col", class: at > 4 ? "n" : null }, words)));
  const table = make("table", { class: "up-studies" }, make("thead", {}, head), body);
  const scroll = make("div", { class: "scroll", role: "region", "aria-label": `Studies of ${shown(pick.name)}`, tabindex: "0" }, table);
  const element = make("div", {}, scroll, make("p", { class: "more" }, more));

  function update() {
    const some = pick.decisions.slice(0, most);
    show(scroll, some.length > 0);
    keyed(body, some, (one) => one.study.key, (one) => rowOf(pick, one.study.key));
    for (const row of body.children) row.refresh();
    show(more, pick.decisions.length > most);
    set(more, `Show more of ${plural(pick.decisions.length, "study", "studies")}`);
  }
  return { element, update };
}

function rowOf(pick, key) {
  const find = () => pick.decisions.find((one) => one.study.key === key);
  const change = (what) => {
    const one = find();
    if (!one) return;
    pick.edit(one.study, what);
    pick.settle();
  };
  const take = make("input", { type: "checkbox" });
  take.addEventListener("change", () => change({ leaveOut: !take.checked }));
  const [subject, session] = ["subject", "session"].map((column) => labelField(column, (text) => change({ [column]: text })));
  const study = make("span");
  const facts = make("span", { class: "meta" });
  const patient = make("span");
  const ids = make("span", { class: "meta" });
  const [scans, images] = [make("td", { class: "n", "data-head": "Scans" }), make("td", { class: "n", "data-head": "Images" })];
  const notes = make("ul", { class: "up-notes" });
  const row = make(
    "tr",
    {},
    make("td", { "data-head": "Take" }, take),
    make("th", { scope: "row" }, study, facts, notes),
    make("td", { "data-head": "Patient" }, patient, ids),
    make("td", { "data-head": "Subject" }, subject.element),
    make("td", { "data-head": "Session" }, session.element),
    scans,
    images,
  );
  row.refresh = () => {
    const one = find();
    if (!one) return;
    const words = wordsOf(one);
    const editable = keyOf(one.study, pick.studies) !== null;
    set(study, words.study);
    set(facts, words.facts);
    set(patient, words.patient);
    set(ids, words.ids);
    set(scans, number(one.study.series.length + one.study.ecat.length));
    set(images, number(one.study.frames));
    take.checked = !one.leftOut;
    take.disabled = !editable;
    take.setAttribute("aria-label", `Take ${words.study} of ${words.patient}`);
    row.classList.toggle("up-left", one.leftOut);
    const edit = pick.edits.get(key) ?? {};
    subject.refresh(one.subject || edit.subject || "", { of: words, editable: editable && !one.leftOut, edited: Boolean(edit.subject) });
    session.refresh(one.label, { of: words, editable: editable && !one.leftOut, edited: Boolean(edit.session) });
    const told = notesOf(one);
    keyed(notes, told, ([kind, sentence]) => kind + sentence, ([kind, sentence]) => make("li", { class: kind || null }, sentence));
  };
  return row;
}

/** A label that can be changed; an empty one is again what the images give. */
function labelField(column, changed) {
  const input = make("input", { autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: "200" });
  const said = make("span", { class: "help", role: "status" });
  let now = "";
  input.addEventListener("change", () => {
    const text = input.value.trim();
    if (text === now) return;
    const label = clean(text);
    if (text && !label) {
      set(said, "A label needs a letter or digit.");
      input.setAttribute("aria-invalid", "true");
      return;
    }
    set(said, label && label !== text ? `Written ${label}.` : "");
    input.removeAttribute("aria-invalid");
    changed(label);
  });
  const refresh = (label, { of, editable, edited }) => {
    if (now !== label || !edited) {
      now = label;
      if (document.activeElement !== input || input.value.trim() === "" || clean(input.value) === label) input.value = label;
      if (input.getAttribute("aria-invalid")) [said.textContent] = [""];
      input.removeAttribute("aria-invalid");
    }
    input.disabled = !editable;
    input.classList.toggle("edited", edited);
    input.setAttribute("aria-label", `${column === "subject" ? "Subject" : "Session label"} of ${of.study}, ${of.patient}`);
  };
  return { element: make("span", {}, input, said), refresh };
}

function wordsOf({ study, naming, project }) {
  const day = study.date.replace(/^(\d{4})(\d\d)(\d\d)$/, "$1-$2-$3");
  const modalities = [...new Set([...[...study.counts("Modality").keys()].map(shown), ...(study.ecat.length ? ["ECAT"] : [])])].sort();
  const name = person(study.common("PatientName"));
  const births = [...study.counts("PatientBirthDate").keys()];
  const id = shown(naming.patients.commonId || study.common("PatientID"));
  return {
    study: shown(study.common("StudyDescription")) || (day ? `Study of ${day}` : "Study"),
    facts: [day, modalities.join(", "), project].filter(Boolean).join(" · "),
    patient: name || id || "no name",
    ids: [name && id ? id : "", births.length ? `born ${shown(births[0]).replace(/^(\d{4})(\d\d)(\d\d)$/, "$1-$2-$3")}` : ""].filter(Boolean).join(" · "),
  };
}
