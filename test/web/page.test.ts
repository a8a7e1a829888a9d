import type { Server } from "node:http";
import { access } from "node:fs/promises";
import { images } from "@terrarium/images";
import { buildSite } from "@terrarium/web/build";
import { serve } from "@terrarium/web/server";
import { chromium, type Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const CHROMIUM = "/usr/bin/chromium";
/** Without these a browser in a closed network keeps asking for updates, and one run by root does not start. */
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const installed = await access(CHROMIUM).then(
  () => true,
  () => false,
);
if (!installed) process.stderr.write(`The page is not tested: there is no ${CHROMIUM} (Debian: chromium).\n`);

describe.skipIf(!installed)("the page", () => {
  let browser: Browser;
  let site: { url: string; server: Server };
  beforeAll(async () => {
    await buildSite();
    site = await serve(0);
    browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
  });
  afterAll(async () => {
    await browser.close();
    site.server.close();
  });

  test("boots the cloud kernel to a shell that answers, and stays responsive meanwhile", async () => {
    const prompt = images.find(({ name }) => name === "debian-cloud")?.prompt.trim() ?? "";
    const page = await browser.newPage();
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(error.message));
    const served: string[] = [];
    page.context().on("response", (response) => {
      if (response.ok()) served.push(new URL(response.url()).pathname);
    });
    await page.goto(site.url);
    const screen = page.locator(".xterm-rows");
    await screen.getByText(prompt).first().waitFor({ timeout: 240_000 });
    await page.keyboard.type("echo $((6 * 7)) from $(uname -s)\n");
    await screen.getByText("42 from Linux").waitFor({ timeout: 30_000 });
    await page.keyboard.type("poweroff\n");
    await page.getByText("The guest has ended: powered-off.").waitFor({ timeout: 30_000 });
    expect(problems).toEqual([]);
    expect(served, "the machine's worker starts one that compiles").toContain("/aside-browser-worker.js");
    await page.close();
  });

  test("says so when there is no such image", async () => {
    const page = await browser.newPage();
    await page.goto(`${site.url}?image=beos`);
    await page.getByText('There is no image "beos".').waitFor();
    await page.close();
  });

  test.each(["/../package.json", "/%2e%2e/%2e%2e/package.json", "/.cache/images/../../package.json", "/%00", "/%zz"])(
    "is all that is served: not %s",
    async (path) => {
      const response = await fetch(new URL(path, site.url));
      expect(response.status).toBe(404);
    },
  );
});
