/** Run before `npm test` and `npm start`: makes sure there is a Chromium, or says in one line that there is none. */
import { findChromium, installChromium } from "../../bench/chromium.ts";

if (findChromium() === undefined) {
  console.error("No Chromium found (CHROME, Playwright, PATH): installing one.");
  if (installChromium() === undefined) {
    console.error(
      "No Chromium could be installed (Playwright's download and apt-get both failed): set CHROME to a Chromium or Chrome to run what needs a browser.",
    );
  }
}
