package notify

import (
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// marks begin a text in the chat, by severity.
var marks = map[string]string{yardarmv1.SeverityInfo: ":large_green_circle:", yardarmv1.SeverityWarning: ":large_yellow_circle:", yardarmv1.SeverityError: ":red_circle:"}

// escaped are the characters that mean something to Slack, so that a message of a cluster can neither mention people nor make links.
var escaped = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// slackText is an event in one message of Slack, Mattermost and whatever else takes what they do.
func slackText(e *Event) string { return marks[e.Severity] + " " + escaped.Replace(e.text()) }
