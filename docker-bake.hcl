# Builds the images of a release for several platforms. From the root of the repository:
#
#   docker buildx bake --print                                              # shows what would be built
#   docker buildx bake call-control --set '*.platform=linux/amd64' --load   # one image for this machine
#   REGISTRY=registry.example/voice-bridge VERSION=1.2.3 docker buildx bake --push --metadata-file out/images.json
#
# The metadata file has the digest of each image. `docker compose build` builds the same Dockerfiles for one platform.

variable "REGISTRY" { default = "voice-bridge" }
variable "VERSION" { default = "local" }
variable "REVISION" { default = "" }

group "default" {
  targets = ["call-control", "media-gateway", "agent-relay", "lab"]
}

target "_image" {
  context   = "."
  platforms = ["linux/amd64", "linux/arm64"]
  labels = {
    "org.opencontainers.image.version"  = VERSION
    "org.opencontainers.image.revision" = REVISION
  }
  attest = ["type=provenance,mode=max", "type=sbom"]
}

target "_service" {
  inherits = ["_image"]
  args     = { REVISION = REVISION }
}

target "call-control" {
  inherits   = ["_service"]
  dockerfile = "services/call-control/Dockerfile"
  tags       = ["${lower(REGISTRY)}/call-control:${VERSION}"]
}

target "media-gateway" {
  inherits   = ["_service"]
  dockerfile = "services/media-gateway/Dockerfile"
  tags       = ["${lower(REGISTRY)}/media-gateway:${VERSION}"]
}

target "agent-relay" {
  inherits   = ["_service"]
  dockerfile = "services/agent-relay/Dockerfile"
  tags       = ["${lower(REGISTRY)}/agent-relay:${VERSION}"]
}

target "lab" {
  inherits   = ["_image"]
  dockerfile = "lab/Dockerfile"
  tags       = ["${lower(REGISTRY)}/lab:${VERSION}"]
}
