// Which objects consist of pixels, so that their frames count as images; as src/scandock/rules/sop_classes.py.

const ROOT = "1.2.840.10008.5.1.4.1.1.";
const CSA_NON_IMAGE = "1.3.12.2.1107.5.9.1";
const WITHOUT = new Set(["4.2", "66", "67", "77.1.5.3", "91.1", "131"]);
const FAMILIES = ["88", "66", "68", "11", "9", "104", "481", "78", "79", "80", "90", "200", "201"].map((one) => `${one}.`);
const WITH = new Set(["30", "66.4", "66.7", "481.1", "481.2", "481.23", "481.24"]);
const NOT_IMAGES = new Set(
  ("SR KO PR SEG REG FID RWV DOC PLAN RTPLAN RTSTRUCT RTDOSE RTRECORD RTINTENT RTRAD RTSEGANN M3D ASMT TEXTUREMAP OSS " +
    "STAIN ANN SMR AU").split(" "),
);

/** Whether an object consists of pixels; classes that are none of DICOM's go by its modality. */
export function hasPixels(sopClass, modality = "") {
  if (sopClass === CSA_NON_IMAGE) return false;
  if (!sopClass.startsWith(ROOT)) return !NOT_IMAGES.has(modality.toUpperCase());
  const suffix = sopClass.slice(ROOT.length);
  return WITH.has(suffix) || !(WITHOUT.has(suffix) || FAMILIES.some((family) => suffix.startsWith(family)));
}
