# syntax=docker/dockerfile:1

# Compiled on the builder's own platform: Go cross-compiles, no emulation needed.
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
WORKDIR /src

# The modules are a layer of their own, fetched again only when go.mod or go.sum change.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download

COPY . .
ARG VERSION=dev
ARG TARGETOS
ARG TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X seamtag/cli.version=$VERSION" -o /seamtag .

# Certificates, time zones, a user without rights, and nothing else. The working directory is /home/nonroot:
# a rules file goes to /home/nonroot/seamtag.yaml, or wherever SEAMTAG_CONFIG says.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /seamtag /seamtag
# PORT and METRICS_PORT. There is no HEALTHCHECK: the platform asks GET /readyz, and the image has no shell to ask with.
EXPOSE 8080 9091
ENTRYPOINT ["/seamtag"]
CMD ["serve"]
