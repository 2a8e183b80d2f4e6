// The AWS SDK for Go v1, as programs of before 2025 use it: S3 with keys that are hard to sign, DynamoDB, SNS.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/dynamodb"
	"github.com/aws/aws-sdk-go/service/s3"
	"github.com/aws/aws-sdk-go/service/s3/s3manager"
	"github.com/aws/aws-sdk-go/service/sns"
)

func main() {
	bucket := aws.String(os.Args[1])
	all := session.Must(session.NewSession())

	store := s3.New(all)
	_, err := store.CreateBucket(&s3.CreateBucketInput{Bucket: bucket})
	check(err)
	for _, key := range []string{"plain", "a b+c/ü@%2F", "~(odd)*!'"} {
		_, err = store.PutObject(&s3.PutObjectInput{Bucket: bucket, Key: &key, Body: bytes.NewReader([]byte(key))})
		check(err)
		got, err := store.GetObject(&s3.GetObjectInput{Bucket: bucket, Key: &key})
		check(err)
		body, err := io.ReadAll(got.Body)
		check(err)
		equal(string(body), key)
	}
	// Three parts, and no length known before.
	big := bytes.Repeat([]byte("0123456789abcdef"), 11<<16)
	_, err = s3manager.NewUploader(all).Upload(&s3manager.UploadInput{
		Bucket: bucket, Key: aws.String("big"), Body: io.MultiReader(bytes.NewReader(big)),
	})
	check(err)
	head, err := store.HeadObject(&s3.HeadObjectInput{Bucket: bucket, Key: aws.String("big")})
	check(err)
	equal(*head.ContentLength, int64(len(big)))

	tables, err := dynamodb.New(all).ListTables(&dynamodb.ListTablesInput{})
	check(err)
	fmt.Println(len(tables.TableNames), "tables")
	topic, err := sns.New(all).CreateTopic(&sns.CreateTopicInput{Name: aws.String("go-v1")})
	check(err)
	_, err = sns.New(all).Publish(&sns.PublishInput{TopicArn: topic.TopicArn, Message: aws.String("a=b&c=d ü")})
	check(err)
}

func equal[T comparable](got, wanted T) {
	if got != wanted {
		check(fmt.Errorf("%v instead of %v", got, wanted))
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
