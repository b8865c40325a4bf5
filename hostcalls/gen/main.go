// Command gen writes the files that are made from the tables of package
// hostcalls. Run it in hostcalls/ by go generate.
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	"github.com/wasock/wasock/hostcalls"
)

// files are what is written, by path from hostcalls/.
var files = []struct {
	path     string
	generate func(*hostcalls.Surface) []byte
}{
	{"../web/abi.js", javaScript},
	{"../wasm/include/wasock.h", cHeader},
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("gen: ")
	for _, f := range files {
		if err := os.WriteFile(f.path, f.generate(hostcalls.ABI()), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// camelCase returns an ABI name as JavaScript writes it.
func camelCase(name string) string {
	first, rest, _ := strings.Cut(name, "_")
	if rest == "" {
		return first
	}
	return first + pascalCase(rest)
}

// pascalCase returns an ABI name as JavaScript writes types.
func pascalCase(name string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// number returns v in the base that it is read best in.
func number(v uint32) string {
	if v > 0xffff {
		return fmt.Sprintf("%#x", v)
	}
	return strconv.Itoa(int(v))
}

// lengthField returns the name of the field that holds the length of a part.
func lengthField(part string) string {
	if part == "payload" {
		return "len"
	}
	return part + "_len"
}
