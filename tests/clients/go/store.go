// S3 with the AWS SDK for Go v2: up with what it says of a body by itself, and with each checksum that it makes, down again.
//
//	store BUCKET
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func main() {
	ctx := context.Background()
	settings, err := config.LoadDefaultConfig(ctx)
	check(err)
	client := s3.NewFromConfig(settings)
	algorithms := append([]types.ChecksumAlgorithm{""}, types.ChecksumAlgorithm("").Values()...)
	for _, size := range []int{1, 8 << 20} {
		data := make([]byte, size)
		rand.Read(data)
		for _, algorithm := range algorithms {
			for _, form := range []string{"buffer", "stream"} {
				if form == "stream" && algorithm == "" {
					continue // it wants to read such a body twice
				}
				key := fmt.Sprintf("up/%s/%s %d", algorithm, form, size)
				var body io.Reader = bytes.NewReader(data)
				if form == "stream" {
					body = io.MultiReader(body)
				}
				_, err := client.PutObject(ctx, &s3.PutObjectInput{
					Bucket: &os.Args[1], Key: &key, Body: body, ContentLength: int64(size), ChecksumAlgorithm: algorithm,
				})
				check(err)
				got, err := client.GetObject(ctx, &s3.GetObjectInput{
					Bucket: &os.Args[1], Key: &key, ChecksumMode: types.ChecksumModeEnabled,
				})
				check(err)
				down, err := io.ReadAll(got.Body)
				check(err)
				if sha256.Sum256(down) != sha256.Sum256(data) {
					check(fmt.Errorf("%s is another", key))
				}
				fmt.Println(key)
			}
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
