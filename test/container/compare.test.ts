/** The program that `terrarium compare` measures, in containers of images. */

import { cpuWorkloads, resultIn } from "@terrarium/measure";
import { expect, test } from "vitest";
import { containerPlace } from "../../packages/cli/src/compare/places.js";
import { forbidden } from "./containers.js";
import { archive, makeDirectory, ROOT, writeLayout } from "./images.js";

test.skipIf(forbidden !== undefined)("it runs in an image's root, whatever the image itself would run", async () => {
  process.env["TERRARIUM_STORE"] = makeDirectory();
  const config = { Entrypoint: ["/bin/missing"], Cmd: ["nothing"], User: "gardener", WorkingDir: "/tmp" };
  const layout = writeLayout({ layers: [await archive(...ROOT)], config });
  const place = await containerPlace(await cpuWorkloads("amd64", () => undefined), `oci:${layout}`);
  await using started = await place.start();
  expect(started.milliseconds).toBeGreaterThan(0);
  expect(resultIn(await started.run(["1", "getppid"]), "getppid")?.nanoseconds).toBeGreaterThan(0);
});
