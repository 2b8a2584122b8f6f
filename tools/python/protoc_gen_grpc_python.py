"""protoc plugin for the Python gRPC stubs (*_pb2_grpc.py).

grpcio-tools compiles the generator into its own copy of protoc and offers no
plugin executable. This turns it into one: the request on stdin holds the
descriptors, which go to that protoc as a descriptor set, and what it writes
becomes the response.
"""

import pathlib
import sys
import tempfile

from google.protobuf import descriptor_pb2
from google.protobuf.compiler import plugin_pb2
from grpc_tools import protoc


def main() -> int:
    request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    with tempfile.TemporaryDirectory() as scratch:
        descriptors = pathlib.Path(scratch, "descriptors.binpb")
        descriptors.write_bytes(
            descriptor_pb2.FileDescriptorSet(file=request.proto_file).SerializeToString()
        )
        out = pathlib.Path(scratch, "out")
        out.mkdir()
        status = protoc.main(
            ["protoc", f"--descriptor_set_in={descriptors}", f"--grpc_python_out={out}"]
            + list(request.file_to_generate)
        )
        if status != 0:
            return status
        response = plugin_pb2.CodeGeneratorResponse(
            supported_features=plugin_pb2.CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
        )
        # A file without a service yields a stub without content: leave it out.
        services = {f.name for f in request.proto_file if f.service}
        for name in request.file_to_generate:
            path = name.removesuffix(".proto").replace("-", "_") + "_pb2_grpc.py"
            if name in services:
                response.file.add(name=path, content=(out / path).read_text())
        sys.stdout.buffer.write(response.SerializeToString())
    return 0


if __name__ == "__main__":
    sys.exit(main())
