import { copyContract } from "../contract/copy.js";
import { runContract } from "../contract/run.js";
import { standContract } from "../contract/stand.js";
import { expect, test } from "vitest";
import { cloudGuest } from "./guests.js";

runContract(cloudGuest);
standContract(cloudGuest);
copyContract(cloudGuest);

test("a command in a machine has no streams of the host's, and says so", async () => {
  const guest = await cloudGuest();
  for (const streams of [{ stdin: 0 }, { stdout: process.stdout }, { stderr: 2 }]) {
    const [name = ""] = Object.keys(streams);
    await expect(guest.run("true", streams)).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining(name) as unknown,
    });
  }
});
