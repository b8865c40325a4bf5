package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// headingKey is the annotation of a flag that stands under a heading in the help.
const headingKey = "wasock_heading"

// group adds flags under a heading in the help.
func group(fs *pflag.FlagSet, heading string, add func(*pflag.FlagSet)) {
	g := pflag.NewFlagSet(heading, pflag.ContinueOnError)
	g.SortFlags = false
	add(g)
	g.VisitAll(func(f *pflag.Flag) { f.Annotations = map[string][]string{headingKey: {heading}} })
	fs.AddFlagSet(g)
}

// cobra has the functions of templates in one table for the process.
func init() { cobra.AddTemplateFunc("groupedFlags", groupedFlags) }

// usageTemplate returns cobra's template with lines of 80 columns and flags in groups.
func usageTemplate(text string) string {
	const flags = "Flags:\n{{.LocalFlags.FlagUsages"
	if !strings.Contains(text, flags) {
		panic("BUG: cobra's usage template has no flags as they were")
	}
	text = strings.ReplaceAll(text, flags, "{{groupedFlags .LocalFlags")
	return strings.ReplaceAll(text, "FlagUsages", "FlagUsagesWrapped 80")
}

// longName is the length from which on the name of a flag stands on a line of its own,
// so that it leaves room for what is said about the others.
const longName = 24

// groupedFlags returns the usage of flags, those without a heading first.
func groupedFlags(fs *pflag.FlagSet) string {
	headings := []string{"Flags"}
	groups := map[string]*pflag.FlagSet{}
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		heading := headings[0]
		if h := f.Annotations[headingKey]; len(h) > 0 {
			heading = h[0]
		}
		g := groups[heading]
		if g == nil {
			g = pflag.NewFlagSet(heading, pflag.ContinueOnError)
			g.SortFlags = false
			groups[heading] = g
			if heading != headings[0] {
				headings = append(headings, heading)
			}
		}
		g.AddFlag(f)
	})
	var parts []string
	for _, h := range headings {
		if g := groups[h]; g != nil {
			parts = append(parts, h+":\n"+usages(g))
		}
	}
	return strings.Join(parts, "\n")
}

// usages returns the usage of flags in 80 columns.
func usages(fs *pflag.FlagSet) string {
	g := pflag.NewFlagSet("", pflag.ContinueOnError)
	g.SortFlags = false
	lines := map[string]string{}
	fs.VisitAll(func(f *pflag.Flag) {
		if len(f.Name) >= longName {
			cut := *f
			cut.Name = f.Name[:4]
			value, _ := pflag.UnquoteUsage(f)
			begin := "--" + cut.Name + " " + value
			lines[begin] = "--" + f.Name + " " + value + "\n      " + strings.Repeat(" ", len(begin))
			f = &cut
		}
		g.AddFlag(f)
	})
	text := g.FlagUsagesWrapped(80)
	for begin, instead := range lines {
		text = strings.Replace(text, begin, instead, 1)
	}
	return text
}
