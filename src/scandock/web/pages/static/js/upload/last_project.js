// The project that an account uploaded to or chose last in this tab, for the next time that no address names one, as after a
// reload: erased at logout.

const KEY = "scandock-project";

/** The project that this account chose last, "" for none. What another account chose is erased. */
export function lastProject(user) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
    if (kept !== null && kept.user !== user) forgetProject();
    return kept?.user === user ? String(kept.project) : "";
  } catch {
    return ""; // nothing can be kept here, or it is nothing of ours
  }
}

export function keepProject(user, project) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ user, project }));
  } catch {
    // a private window keeps nothing: the project is named again
  }
}

export function forgetProject() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // nor is there anything to erase
  }
}
