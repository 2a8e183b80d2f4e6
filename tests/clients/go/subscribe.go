// Reads a shard of Kinesis as it is written to: prints each record's data, and then how the stream ended.
//
//	subscribe CONSUMER_ARN
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

func main() {
	if err := subscribe(os.Args[1]); err != nil {
		var api smithy.APIError
		if errors.As(err, &api) {
			fmt.Printf("refused: %s: %s\n", api.ErrorCode(), api.ErrorMessage())
		} else {
			fmt.Printf("failed: %v\n", err)
		}
		os.Exit(1)
	}
	fmt.Println("ended")
}

func subscribe(consumer string) error {
	ctx := context.Background()
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	begun, err := kinesis.NewFromConfig(settings).SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{
		ConsumerARN:      aws.String(consumer),
		ShardId:          aws.String("shardId-000000000000"),
		StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest},
	})
	if err != nil {
		return err
	}
	stream := begun.GetStream()
	defer stream.Close()
	for event := range stream.Events() {
		for _, record := range event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value.Records {
			fmt.Println(string(record.Data))
		}
	}
	return stream.Err()
}
