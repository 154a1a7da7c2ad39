// Command coredns is CoreDNS with the plugins that the cluster's Corefile
// names and no others. The stock program links every cloud's SDK, which triples
// both its size and the time a first run spends compiling it.
package main

import (
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	coremain.Run()
}
