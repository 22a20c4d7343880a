// Package source keeps bundles at what their sources hold, which are Git repositories, charts and OCI artifacts: it asks servers for what is new, has it rendered, and
// publishes it by the path that calls of the API take. Polls of all repositories come from one timer, with jitter; bundles of one repository share one fetch; a webhook
// only says that it is time to look.
//
//	store: bundles with a source ─▶ repositories ─▶ look, by turns         ─▶ git, chart, oci ─▶ render ─▶ api.PublishSource ─▶ store, rollout
//	webhook, timer, changed bundle or credentials ──────────▲                                  └─▶ store.Sources: what was seen, and what is wrong
//
// A repository is looked at by one goroutine at a time. What failed leaves the bundle's last revision where it is. The composition root makes it, and calls Run.
package source
