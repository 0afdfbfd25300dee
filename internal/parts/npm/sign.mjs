// Signs with somebody else's code. Reads lines {"lib","secret","id","timestamp","body"} from stdin, lib being "svix" or
// "standardwebhooks" and timestamp whole seconds; answers each with a line: the signature header.
import { createInterface } from "node:readline";
import * as svix from "svix";
import * as standardwebhooks from "standardwebhooks";

const libraries = { svix, standardwebhooks };

for await (const line of createInterface({ input: process.stdin })) {
  const { lib, secret, id, timestamp, body } = JSON.parse(line);
  const { Webhook } = libraries[lib];
  console.log(new Webhook(secret).sign(id, new Date(timestamp * 1000), body));
}
