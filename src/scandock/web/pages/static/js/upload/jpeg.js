// JPEG by the browser, in a worker or a page.

/** {width, height, rgba} of a JPEG; null where the browser can't decode it. */
export async function decodeJpeg(bytes) {
  try {
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }), { colorSpaceConversion: "none", imageOrientation: "none" });
    const { width, height } = bitmap;
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    return { width, height, rgba: context.getImageData(0, 0, width, height).data };
  } catch {
    return null;
  }
}
