// Uploads with minio-go, which signs chunk by chunk: BUCKET FOLDER [trailer]; or prints an object: BUCKET KEY down.
//
// It does so only where it believes that there is no TLS. So it is told that there is none, and its requests are sent
// over TLS all the same: what it signs knows of no scheme.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

type overTLS struct{ http.RoundTripper }

func (t overTLS) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.URL.Scheme = "https"
	return t.RoundTripper.RoundTrip(request)
}

func main() {
	bucket, folder, mode := os.Args[1], os.Args[2], strings.Join(os.Args[3:], "")
	transport := http.DefaultTransport.(*http.Transport).Clone()
	client, err := minio.New("s3.us-east-1.amazonaws.com", &minio.Options{
		Creds:           credentials.NewEnvAWS(),
		Region:          "us-east-1",
		BucketLookup:    minio.BucketLookupPath,
		TrailingHeaders: mode == "trailer",
		Transport:       overTLS{transport},
	})
	if err != nil {
		fail(err)
	}
	if mode == "down" {
		object, err := client.GetObject(context.Background(), bucket, folder, minio.GetObjectOptions{})
		if err == nil {
			_, err = io.Copy(os.Stdout, object)
		}
		if err != nil {
			fail(err)
		}
		return
	}
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		fail(err)
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			fail(err)
		}
		status, err := file.Stat()
		if err != nil {
			fail(err)
		}
		// In parts of 5 MiB where it has to be in parts.
		options := minio.PutObjectOptions{PartSize: 5 << 20}
		sent, err := client.PutObject(context.Background(), bucket, filepath.Base(name), file, status.Size(), options)
		if err != nil {
			fail(err)
		}
		fmt.Println(sent.Key, sent.Size)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
