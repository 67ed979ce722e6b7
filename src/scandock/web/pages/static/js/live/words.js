// What is said of an import's state: the same on the tray and aloud.

export const STATES = {
  receiving: "is being received",
  received: "waits for its turn",
  running: "is being imported",
  placed: "is imported",
  held: "waits in the prearchive for a decision",
  partly: "is imported in part",
  refused: "was refused",
  failed: "failed",
  cancelled: "was cancelled",
};
