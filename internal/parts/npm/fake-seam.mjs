// Starts Seam's own fake on a free port, filled as the first argument says, and prints one JSON line:
// {"url", "api_key", "workspace_id", "webview_ids", "account_ids", "event_ids"}, ids in the order of the seed.
//
// The seed: {"webviews": [{"custom_metadata", "connected_account_id"}],
//            "accounts": [{"connected_account_id", "custom_metadata"}],
//            "events": [{"event_type", "connected_account_id", "webview", "created_at"}]}; "webview" is an index.
// It goes through the fake's JavaScript API: creating a webview over HTTP drops its custom_metadata.
import { createFake } from "@seamapi/fake-seam-connect"

const seed = JSON.parse(process.argv[2] ?? "{}")
const fake = await createFake()
const db = fake.database

const { workspace_id } = db.addWorkspace({ name: "Conformance", is_sandbox: true })
const { token } = db.addApiKey({ workspace_id, token: "seam_conformance_key" })

const webviews = (seed.webviews ?? []).map(({ custom_metadata, connected_account_id }) => {
  const { connect_webview_id } = db.addConnectWebview({ workspace_id, custom_metadata, connected_account_id })
  if (connected_account_id != null) db.updateConnectWebview({ connect_webview_id, status: "authorized" })
  return connect_webview_id
})
const accounts = (seed.accounts ?? []).map(
  (account) => db.addConnectedAccount({ provider: "august", workspace_id, ...account }).connected_account_id,
)
const events = (seed.events ?? []).map(({ webview, created_at, ...event }) => {
  const connect_webview_id = webview == null ? undefined : webviews[webview]
  return db.addEvent({ workspace_id, ...event, connect_webview_id, created_at, occurred_at: created_at }).event_id
})

await fake.startServer()
console.log(
  JSON.stringify({
    url: fake.serverUrl,
    api_key: token,
    workspace_id,
    webview_ids: webviews,
    account_ids: accounts,
    event_ids: events,
  }),
)
