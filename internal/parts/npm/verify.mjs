// Checks signatures with somebody else's code. Reads lines {"secret","headers","body"} from stdin, the headers with the names of
// Standard Webhooks; answers each with a line: "ok", or why not.
import { createInterface } from "node:readline";
import { Webhook } from "standardwebhooks";

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body } = JSON.parse(line);
  try {
    new Webhook(secret).verify(body, headers);
    console.log("ok");
  } catch (e) {
    console.log(e.message);
  }
}
