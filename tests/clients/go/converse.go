// A conversation with Transcribe: each word is sent once the one before was answered, and the answers are printed.
//
//	converse WORD...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/transcribestreaming"
	"github.com/aws/aws-sdk-go-v2/service/transcribestreaming/types"
	"github.com/aws/smithy-go"
)

func main() {
	if err := converse(os.Args[1:]); err != nil {
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

func converse(words []string) error {
	ctx := context.Background()
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	rate := int32(16000)
	transcribe := transcribestreaming.NewFromConfig(settings)
	begun, err := transcribe.StartStreamTranscription(ctx, &transcribestreaming.StartStreamTranscriptionInput{
		LanguageCode: "en-GB", MediaEncoding: "pcm", MediaSampleRateHertz: &rate,
	})
	if err != nil {
		return err
	}
	stream := begun.GetStream()
	defer stream.Close()
	for _, word := range words {
		audio := types.AudioEvent{AudioChunk: []byte(word)}
		if err := stream.Send(ctx, &types.AudioStreamMemberAudioEvent{Value: audio}); err != nil {
			return err
		}
		event, is := <-stream.Events()
		if !is {
			return stream.Err()
		}
		results := event.(*types.TranscriptResultStreamMemberTranscriptEvent).Value.Transcript.Results
		fmt.Println(*results[0].Alternatives[0].Transcript)
	}
	if err := stream.Writer.Close(); err != nil {
		return err
	}
	for range stream.Events() {
	}
	return stream.Err()
}
