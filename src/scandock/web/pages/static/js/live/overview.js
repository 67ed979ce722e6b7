// The overview: an upload that a tab of this browser has paused was not interrupted.

import { subscribe } from "../bus.js";
import { listenToTabs, stateElsewhere } from "./tabs.js";

/** Begin; the answer ends it. */
export function start(main) {
  let transfers = [];
  const show = () => {
    for (const line of main.querySelectorAll("[data-upload]")) {
      const { upload } = line.dataset;
      const state = transfers.find(({ id }) => id === upload)?.state ?? stateElsewhere(upload);
      line.querySelector(".state").textContent = state === "paused" ? "paused" : "interrupted";
    }
  };
  const forget = subscribe("transfers", (all) => {
    transfers = all;
    show();
  });
  const endTabs = listenToTabs((kind) => kind === "changed" && show());
  return () => {
    forget();
    endTabs();
  };
}
