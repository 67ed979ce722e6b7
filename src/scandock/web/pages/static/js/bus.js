// News within one document, by topic: who comes later hears the last of it at once.

const listeners = new Map();
const last = new Map();

/** Tell all who listen to `topic`. */
export function publish(topic, value) {
  last.set(topic, value);
  for (const one of [...(listeners.get(topic) ?? [])]) one(value);
}

/** Hear what is told of `topic`, beginning with what was told last; the answer ends it. */
export function subscribe(topic, listener) {
  const all = listeners.get(topic) ?? new Set();
  listeners.set(topic, all.add(listener));
  if (last.has(topic)) listener(last.get(topic));
  return () => all.delete(listener);
}
