// Windows: how numbers become grey (PS3.3 C.11.2.1), as scandock/viewing/windows.py has it.

/** The usual ones of CT, in HU. */
const CT = [
  ["Brain", 40, 80],
  ["Soft tissue", 50, 400],
  ["Mediastinum", 40, 350],
  ["Lung", -600, 1500],
  ["Bone", 400, 1800],
  ["Liver", 70, 150],
];

/** How bright a value is, 0 to 1 and beyond. */
export function shade(value, { center, width, function: kind }) {
  if (kind === "sigmoid") return 1 / (1 + Math.exp((-4 * (value - center)) / Math.max(width, 1e-9)));
  if (kind === "linear_exact") return (value - center) / Math.max(width, 1e-30) + 0.5;
  if (width <= 1) return value > center - 0.5 ? 1 : 0;
  return (value - (center - 0.5)) / (width - 1) + 0.5;
}

/**
 * The grey of each 16-bit number that a frame can hold, as pixels of a canvas; `invert` beside the frame's own.
 * 65,536 entries, so that painting and dragging cost one look-up a pixel.
 */
export function table(frame, window, invert, kept) {
  const greys = kept ?? new Uint32Array(65536);
  const turned = frame.invert !== invert;
  const begin = frame.signed ? -32768 : 0;
  for (let at = 0; at < 65536; at++) {
    const number = begin + at;
    const bright = shade(number * frame.slope + frame.intercept, window);
    let grey = bright <= 0 ? 0 : bright >= 1 ? 255 : Math.floor(bright * 255 + 0.5);
    if (turned) grey = 255 - grey;
    greys[number & 0xffff] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
  }
  return greys;
}

/** What may be chosen for a frame: the header's windows, an automatic one, and those of its modality. */
export function presetsOf(frame, modality) {
  const own = frame.windows.map((one, at) => ({
    id: `header-${at}`,
    name: one.name || (frame.windows.length > 1 ? `From the header, ${at + 1}` : "From the header"),
    window: one,
  }));
  const usual = modality !== "CT" ? [] : CT.map(([name, center, width]) => ({
    id: `ct-${name}`,
    name: `${name} (${center} / ${width})`,
    window: { center, width, function: "linear" },
  }));
  const full = { center: (frame.low + frame.high) / 2, width: Math.max(frame.high - frame.low, 1e-9), function: "linear_exact" };
  return [
    ...own,
    { id: "automatic", name: "Automatic", window: frame.automatic },
    { id: "full", name: "Full range", window: full },
    ...usual,
  ];
}

const SHORT = 8; // characters that a number may have in plain notation, beside its sign, once it is large or small

/** A number for people: as many digits as tell something, and never more than a field of the viewer has room for. */
export function figure(value) {
  if (!Number.isFinite(value)) return "";
  const size = Math.abs(value);
  if (size === 0 || (size >= 0.01 && size < 1e6)) {
    return String(Number(value.toFixed(size < 1 ? 4 : size < 100 ? 2 : size < 1e4 ? 1 : 0)));
  }
  const rounded = Number(value.toPrecision(size < 1 ? 4 : 5));
  const plain = String(rounded);
  const long = plain.includes("e") || plain.length > SHORT + (value < 0);
  return long ? rounded.toExponential().replace("e+", "e") : plain;
}
