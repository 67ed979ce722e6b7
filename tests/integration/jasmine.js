// As much of the test framework Jasmine as the tests of dicomweb-client use: what each came to is in `outcomes()`.
(() => {
  const tests = [];
  let before = [];
  const isRequest = (value) => value instanceof XMLHttpRequest;

  function isEqual(one, other) {
    if (isRequest(one) && isRequest(other)) return true; // no property of theirs is their own
    if (typeof one !== "object" || one === null || typeof other !== "object" || other === null) return one === other;
    const names = Object.keys(one);
    return names.length === Object.keys(other).length && names.every((name) => isEqual(one[name], other[name]));
  }

  function createSpy(name, original) {
    const calls = [];
    let fake = () => undefined;
    const spy = (...args) => {
      calls.push(args);
      return fake(...args);
    };
    spy.calls = calls;
    Object.defineProperty(spy, "length", { value: original.length });
    spy.and = {
      callFake(replacement) {
        fake = replacement;
        return spy;
      },
    };
    return spy;
  }

  function expect(value) {
    const check = (holds, text) => {
      if (!holds) throw new Error(text);
    };
    const calledWith = (args) => value.calls.some((call) => isEqual(call, args));
    return {
      toBe: (other) => check(value === other, `${value} is not ${other}`),
      toEqual: (other) => check(isEqual(value, other), `${value} does not equal ${other}`),
      toHaveBeenCalledWith: (...args) => check(calledWith(args), "it was not called so"),
      not: { toHaveBeenCalledWith: (...args) => check(!calledWith(args), "it was called so") },
    };
  }

  function describe(group, define) {
    before = [];
    define();
  }

  function beforeEach(prepare) {
    before.push(prepare);
  }

  function it(name, run) {
    tests.push({ name, run, before });
  }

  async function outcomes() {
    const told = {};
    for (const test of tests) {
      try {
        for (const prepare of test.before) prepare();
        await test.run();
        told[test.name] = "";
      } catch (error) {
        told[test.name] = String(error.message || error.status || error).slice(0, 200) || "it failed";
      }
    }
    return told;
  }

  Object.assign(window, {
    beforeEach, describe, expect, it, outcomes, jasmine: { createSpy, getEnv: () => ({ configure() {} }) },
  });
})();
