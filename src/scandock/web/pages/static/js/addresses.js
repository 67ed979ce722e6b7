// The addresses that scripts ask for and link to, without the site's root: the same as of scandock/web/urls.py.

// -- API

export const EVENTS = "/api/v1/events";
export const KNOWN = "/api/v1/sessions/known";
export const ME = "/api/v1/auth/me";
export const UPLOADS = "/api/v1/uploads";

export const upload = (id) => `${UPLOADS}/${id}`;

export const mapping = (id) => `${upload(id)}/mapping`;

export const importOf = (id) => `/api/v1/imports/${id}`;

/** What became of an import's sessions, from a cursor on. */
export const importSessions = (id, cursor) => `${importOf(id)}/sessions${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`;

/** `act`: "cancel" or "retry". */
export const importAct = (id, act) => `/api/v1/imports/${id}/${act}`;

// -- of a scan, by its own address; `tree` lets the browser keep what it has

export const stack = (scan, tree) => `${scan}/stack?tree=${tree}`;

export const frame = (scan, at, tree) => `${scan}/frames/${at}?tree=${tree}`;

/** All elements of a file, by its session's address. */
export const fileHeader = (session, file) => `${session}/files/${file}/header`;

export const picture = (scan, at, tree) => `${scan}/frames/${at}/picture?tree=${tree}`;

// -- pages

export const ACTIVITY = "/activity";
export const LOGIN = "/login";
export const LOGOUT = "/logout";
export const UPLOAD = "/upload";

/** The page of one import. */
export const importAt = (id) => `/imports/${id}`;

export const projectAt = (name) => `/projects/${encodeURIComponent(name)}`;

/** What waits of a project. */
export const prearchiveOf = (name) => `/prearchive?project=${encodeURIComponent(name)}`;

/** One import as its own fragment. */
export const activityItem = (id) => `${ACTIVITY}/${id}`;
