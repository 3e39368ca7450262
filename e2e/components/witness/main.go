// What runs in the pods of the node tests. Without arguments it does nothing, which is all that the container of a pod's sandbox has to do. With
// files it says once what they hold, as an application does that reads its secret at its start, and then does nothing.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	for _, file := range os.Args[1:] {
		content, err := os.ReadFile(file)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Printf("%s holds %s\n", file, content)
	}
	<-asked
}
