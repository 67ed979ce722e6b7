// A reporter of `node --test`: one JSON object a line for each test, for tests/integration/test_browser_modules.py.
export default async function* lines(source) {
  for await (const { type, data } of source) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    const error = data.details?.error;
    yield JSON.stringify({ name: data.name, passed: type === "test:pass", error: String(error?.cause?.stack ?? error ?? "") }) + "\n";
  }
}
