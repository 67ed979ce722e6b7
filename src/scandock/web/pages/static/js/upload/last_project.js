// The project that an account uploaded to or chose last in this browser, for the next time that no address names one:
// erased at logout.

const KEY = "scandock-project";

/** The project that this account chose last, "" for none. What another account chose is erased. */
export function lastProject(user) {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "null");
    if (kept !== null && kept.user !== user) forgetProject();
    return kept?.user === user ? String(kept.project) : "";
  } catch {
    return ""; // nothing can be kept here, or it is nothing of ours
  }
}

export function keepProject(user, project) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ user, project }));
  } catch {
    // a private window keeps nothing: the project is named again
  }
}

export function forgetProject() {
  try {
    localStorage.removeItem(KEY);
  } catch {
    // nor is there anything to erase
  }
}
