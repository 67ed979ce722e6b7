// Known junk and names that look like images, asked where the content is no image; as src/scandock/rules/junk.py.

import { fold } from "./labels.js";
import { placeOf } from "./layout.js";

const LITTER_NAMES = new Set([
  ".ds_store", ".localized", ".apdisk", ".volumeicon.icns", "icon\r", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db",
  "desktop.ini", "autorun.inf", ".directory", ".hidden",
]); // prettier-ignore
const LITTER_FOLDERS = new Set([
  "__macosx", ".appledouble", ".spotlight-v100", ".trashes", ".fseventsd", ".temporaryitems",
  ".documentrevisions-v100", "$recycle.bin", "system volume information", "@eadir",
]); // prettier-ignore
const PROGRAM_SUFFIXES = new Set(
  (
    "exe dll ocx sys drv scr msi msm msp cab bat cmd vbs lnk pif manifest jar jnlp class so dylib nib chm hlp " +
    "html htm xhtml mht mhtml css js mjs swf xsl xslt woff woff2 ttf otf eot ico icns cur url webloc"
  ).split(" "),
);
const CATALOG = /^(.*_catalog\.xml|catalog\.xml|(dcm|ecat)toxnat\.log)$/s;
const CHECKSUMS = new RegExp(
  "^((sha|md5|sha1|sha224|sha256|sha384|sha512|b2|blake2b?|blake3)[-_]?sums?([.](txt|asc))?" +
    "|(check|cksum|hash)sums?[.](txt|csv|md5|sha\\d*)" +
    "|checksums?|md5sums?[.]txt|(tag)?manifest-(md5|sha\\d+)[.]txt" +
    "|.+[.](md5|md5sum|sha1|sha224|sha256|sha384|sha512|sfv|sha256sum|sha1sum))$",
  "s",
);
const IMAGE_NAME = /^.*\.(dcm|dicom|dic|dc3|ima|v)(\.gz)?$/s;
const ISO_VERSION = /;\d{1,5}$/;

/** "junk_name" or "dicomdir" for an entry that is no image by content and junk by its name; null for all else. */
export function junkCode(path) {
  const place = placeOf(path);
  const base = plain(place.base);
  const folders = place.folders.map(fold);
  const litter = folders.some((folder) => LITTER_FOLDERS.has(folder));
  if (LITTER_NAMES.has(base) || base.startsWith("._") || litter || CATALOG.test(base)) return "junk_name";
  if (place.isResourceFolder) return null;
  if (base === "dicomdir") return "dicomdir";
  const dot = base.lastIndexOf(".");
  if (dot >= 0 && PROGRAM_SUFFIXES.has(base.slice(dot + 1))) return "junk_name";
  return CHECKSUMS.test(base) || inProgram(folders) ? "junk_name" : null;
}

/** Whether the name promises an image (.dcm, .dicom, .dic, .dc3, .ima, .v, also gzipped). */
export function namedLikeImage(path) {
  return IMAGE_NAME.test(plain(placeOf(path).base));
}

function plain(base) {
  return fold(base.replace(ISO_VERSION, ""));
}

/** Whether a folder above belongs to a program: IHE_PDI, a macOS application's bundle, a Java runtime. */
function inProgram(folders) {
  return folders.some((outer, at) => {
    const inner = folders[at + 1];
    if (outer === "ihe_pdi") return true;
    if (inner === undefined) return false;
    if (outer.endsWith(".app") && inner === "contents") return true;
    return outer.startsWith("jre") && ["bin", "lib", "conf", "legal"].includes(inner);
  });
}
