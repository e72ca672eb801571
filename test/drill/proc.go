package main

import (
	"userrelay/test/child"
	"userrelay/test/drill/report"
)

// flat checks that a process has not grown by more than the limits.
func flat(row *report.Row, what string, before, after child.Usage, mib float64, files, threads int) {
	if !before.Known || !after.Known {
		row.Note("%s: memory, descriptors and threads are not measured on this system.", what)
		return
	}
	row.Note("%s: the handler had %s before, %s after.", what, before, after)
	row.Size(what+": more memory", max(0, after.MiB-before.MiB), mib)
	row.Count(what+": more descriptors", max(0, after.Files-before.Files), files)
	row.Count(what+": more threads", max(0, after.Threads-before.Threads), threads)
}
