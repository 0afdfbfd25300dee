package page

// reasons says what the reasons of the worker mean for an operator, and what mends it. A reason that is not here is shown
// by its own word.
var reasons = map[string]string{
	"account_gone":       "Seam no longer knows this account. Nothing is left to tag.",
	"bad_outcome":        "The worker ended in a way it must not. Please report this as a bug.",
	"changed_meanwhile":  "Another system undid what was written, and the rules let it.",
	"contended":          "Another system kept writing to the account while it was being tagged. It is tried again.",
	"error":              "Something that is not known better. The error below says more.",
	"lease_lost":         "Another worker took this event over.",
	"ledger_unreadable":  "What is remembered of the account cannot be read by this version.",
	"lookup_missing":     "A lookup found nothing for this account. Add what it asks for, then replay.",
	"lookup_unavailable": "One of your own systems did not answer. It is tried again.",
	"malformed":          "The event was signed, but is not one that can be read. A replay helps only after an update of seamtag.",
	"no_account":         "The event is not about a connected account.",
	"panic":              "The worker failed unexpectedly. Please report this as a bug.",
	"payload_gone":       "The log no longer holds the event: something else trimmed it. Use backfill to fetch it from Seam.",
	"poison":             "Workers died five times while working on it. Look at their logs before you replay it.",
	"rate_limited":       "Seam asked for fewer calls. It is tried again when Seam said.",
	"rejected":           "Seam refused the metadata. The error says which key; mend the rule or the data, then replay.",
	"removal_not_shown":  "Only removals were due, and Seam keeps such keys.",
	"rule_error":         "A rule failed, or gave more than Seam takes. The error names it; mend the rules file, then replay.",
	"seam_unavailable":   "Seam did not answer. It is tried again.",
	"unauthorized":       "Seam refuses the API key. Set a right SEAM_API_KEY and restart; the workers go on by themselves.",
}

func meaning(reason string) string { return reasons[reason] }
