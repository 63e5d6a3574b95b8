// Creates a container, waits until it runs, and deletes it again, with a
// client whose types come from the server's own OpenAPI document.
import createClient, { type Middleware } from "openapi-fetch";
import { randomUUID } from "node:crypto";
import type { components, paths } from "./schema.js";

type Operation = components["schemas"]["Operation"];
type Written = components["schemas"]["Written"];
type DryRun = components["schemas"]["DryRun"];

const baseUrl = process.env["BAYPLAN_ENDPOINT_URL"] ?? "http://127.0.0.1:8080";
const token = process.env["BAYPLAN_ACCESS_TOKEN"];

const authorize: Middleware = {
  onRequest({ request }) {
    if (token) request.headers.set("Authorization", `Bearer ${token}`);
    return request;
  },
};

const api = createClient<paths>({ baseUrl });
api.use(authorize);

// done waits until an operation has come as far as it can.
async function done(operation: Operation): Promise<Operation> {
  for (;;) {
    const { data, error } = await api.GET("/compute/operations/{id}", {
      params: { path: { id: operation.id }, query: { wait: "ready", timeout: "60s" } },
    });
    if (error) throw new Error(error.detail);
    if (data.state === "ready") return data;
    if (data.state === "failed" || data.state === "superseded") {
      throw new Error(`${data.action} ${data.target}: ${data.reason}: ${data.message}`);
    }
    console.log(`${data.action} ${data.target}: ${data.state}`);
  }
}

// written tells a commit from a dry run, which only dry_run: true asks for.
function written(answer: Written | DryRun): Written {
  if ("dry_run" in answer) throw new Error("nothing was committed");
  return answer;
}

const name = process.argv[2] ?? "typescript";
const user = process.argv[3];

const created = await api.POST("/compute/containers", {
  // The same key again is the same commit: a client may repeat a call whose answer got lost.
  params: { header: { "Idempotency-Key": randomUUID() } },
  body: { name, ...(user && { user }), spec: { image: "docker.io/library/nginx:1.29-alpine" } },
});
if (created.error) throw new Error(JSON.stringify(created.error));
const { operation, commit } = written(created.data);
const { target } = await done(operation);
console.log(`created ${target} with ${commit}`);

const read = await api.GET("/compute/containers/{id}", { params: { path: { id: target } } });
if (read.error) throw new Error(read.error.detail);
console.log(`${read.data.id} is ${read.data.status}`);

const deleted = await api.DELETE("/compute/containers/{id}", { params: { path: { id: target } } });
if (deleted.error) throw new Error(JSON.stringify(deleted.error));
await done(written(deleted.data).operation);

const gone = await api.GET("/compute/containers/{id}", { params: { path: { id: target } } });
if (gone.response.status !== 404) throw new Error(`${target} is still there`);
console.log(`deleted ${target}`);
