// Package page is the operator's page: whether every account is being tagged, any event in seconds, and a replay with its
// difference shown first. It is rendered on the server and reads without JavaScript; with it, what is shown stays current.
//
// What it promises: nothing is shown without a session, and nothing is changed without a form that this session was shown.
// Text from events, accounts and errors is only ever text: html/template escapes it, and the Content-Security-Policy lets no
// inline script or style run. Values of payloads and personal ones of metadata are masked until asked for. No secret, value
// or payload gets into a URL or a log line (P9). What cannot be read is shown as unknown, never as zero.
package page
