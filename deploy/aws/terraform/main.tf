# An application on EC2 behind an Application Load Balancer, in an Auto Scaling group, with allswell next to it on each machine.
# Copy main.tf and user-data.sh, set the variables that have no default, `terraform init`, `terraform apply`.
# The target group polls allswell on port 8080; users' requests go to the application's own port.

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40"
    }
  }
}

variable "name" {
  description = "Name of the application, at most 24 characters, because the name of a target group has at most 32."
  type        = string
  default     = "orders"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,23}$", var.name))
    error_message = "Use lower-case letters, digits and dashes, at most 24 characters."
  }
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "balancer_subnets" {
  description = "Public subnets in at least two availability zones, which a load balancer requires."
  type        = list(string)
}

variable "machine_subnets" {
  description = "Subnets of the machines."
  type        = list(string)
}

variable "certificate_arn" {
  description = "ARN of the certificate for the application's host name, in ACM."
  type        = string
}

variable "ami_id" {
  description = "An image of Amazon Linux 2023 or another Linux with systemd that starts the application at boot."
  type        = string
}

variable "instance_type" {
  description = "allswell needs about 20 MB of memory; the rest is for the application."
  type        = string
  default     = "t3.small"
}

variable "app_port" {
  description = "Port of the application."
  type        = number
  default     = 8000
}

variable "app_host" {
  description = "A host name that the application accepts, such as www.example.com."
  type        = string
}

variable "app_environment" {
  description = "The file on the image with the application's variables: DATABASE_URL with sslmode=verify-full, REDIS_URL with rediss."
  type        = string
  default     = "/etc/environment"
}

variable "allswell_tarball" {
  description = "URL of allswell-VERSION-x86_64-unknown-linux-musl.tar.gz, of a release or better in your own bucket."
  type        = string
}

variable "allswell_sha256" {
  description = "The archive's checksum from SHA256SUMS; a file with another checksum is not installed."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.allswell_sha256))
    error_message = "Use 64 hexadecimal digits in lower case."
  }
}

variable "size" {
  description = "Minimum and maximum number of machines."
  type        = object({ min = number, max = number })
  # Two, so that one can be replaced.
  default = { min = 2, max = 4 }
}

variable "replace_unhealthy" {
  description = "Whether to terminate a machine that is unhealthy for the load balancer; otherwise it only gets no traffic."
  type        = bool
  # A database that all machines share fails on all of them: new machines would not fix it, and all would be terminated. Set this only if
  # every critical check in user-data.sh concerns the machine alone: the application, not the database.
  default = false
}

resource "aws_security_group" "balancer" {
  name_prefix = "${var.name}-balancer-"
  description = "From users to the load balancer."
  vpc_id      = var.vpc_id

  ingress {
    description = "HTTP, to be redirected"
    from_port   = 80
    to_port     = 80
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }

  ingress {
    description = "HTTPS"
    from_port   = 443
    to_port     = 443
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }

  egress {
    description = "To the machines"
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "machine" {
  name_prefix = "${var.name}-machine-"
  description = "From the load balancer to the machines."
  vpc_id      = var.vpc_id

  ingress {
    description     = "Requests"
    from_port       = var.app_port
    to_port         = var.app_port
    protocol        = "tcp"
    security_groups = [aws_security_group.balancer.id]
  }

  # Only the load balancer can read the report.
  ingress {
    description     = "Health checks"
    from_port       = 8080
    to_port         = 8080
    protocol        = "tcp"
    security_groups = [aws_security_group.balancer.id]
  }

  egress {
    description = "Databases, caches, and the release of allswell"
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_lb" "app" {
  name               = var.name
  load_balancer_type = "application"
  security_groups    = [aws_security_group.balancer.id]
  subnets            = var.balancer_subnets
}

resource "aws_lb_target_group" "app" {
  name        = var.name
  vpc_id      = var.vpc_id
  target_type = "instance"
  protocol    = "HTTP"
  port        = var.app_port
  # Above server.drain (25 s): after its deregistration, a machine has this time to finish requests in progress. The default of 300 s
  # delays every deployment.
  deregistration_delay = 30

  health_check {
    protocol = "HTTP"
    port     = "8080"
    path     = "/health"
    # allswell responds with 200 or 500. A list such as 200-399 would accept a redirect as healthy.
    matcher = "200"
    # The minimum is 5 s, the default 30 s. The node of each zone polls separately: with 3 nodes, a poll every 3 s, which costs almost nothing.
    interval = 10
    # Below the interval. allswell responds within 0.8 s; the rest is for a busy machine, which is no reason to remove it.
    timeout = 5
    # Removed after 20 s. One failed poll alone does not count, and each needs two failed probes before it (fall = 2).
    unhealthy_threshold = 2
    # Back after 30 s. Removing fast and adding back slowly prevents flapping. A new machine needs only one successful poll.
    healthy_threshold = 3
  }
}

# Redirects HTTP to HTTPS. Health checks do not pass through a listener, so they are not redirected.
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.app.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "redirect"

    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.app.arn
  port              = 443
  protocol          = "HTTPS"
  # TLS 1.2 and 1.3.
  ssl_policy      = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn = var.certificate_arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
  }
}

resource "aws_launch_template" "app" {
  name_prefix            = "${var.name}-"
  image_id               = var.ami_id
  instance_type          = var.instance_type
  vpc_security_group_ids = [aws_security_group.machine.id]
  update_default_version = true

  user_data = base64encode(join("\n", [
    "#!/bin/bash",
    "ALLSWELL_TARBALL='${var.allswell_tarball}'",
    "ALLSWELL_SHA256='${var.allswell_sha256}'",
    "APP_ENVIRONMENT='${var.app_environment}'",
    "APP_NAME='${var.name}'",
    "APP_URL='http://127.0.0.1:${var.app_port}/'",
    "APP_HOST='${var.app_host}'",
    file("${path.module}/user-data.sh"),
  ]))

  metadata_options {
    # Requires tokens, so that an attacker who makes the application send a request cannot read the machine's credentials.
    http_tokens = "required"
  }
}

resource "aws_autoscaling_group" "app" {
  name_prefix         = "${var.name}-"
  min_size            = var.size.min
  max_size            = var.size.max
  vpc_zone_identifier = var.machine_subnets
  target_group_arns   = [aws_lb_target_group.app.arn]
  health_check_type   = var.replace_unhealthy ? "ELB" : "EC2"
  # For ELB only: the longest time from the start of a machine to its first healthy response. This is the console's default; the API's
  # default of 0 would terminate a machine while it boots.
  health_check_grace_period = 300

  launch_template {
    id      = aws_launch_template.app.id
    version = aws_launch_template.app.latest_version
  }

  instance_refresh {
    strategy = "Rolling"

    preferences {
      # A new machine is healthy before an old one is terminated.
      min_healthy_percentage = 100
      max_healthy_percentage = 150
    }
  }

  tag {
    key                 = "Name"
    value               = var.name
    propagate_at_launch = true
  }
}

output "balancer" {
  description = "Target of the DNS record of the application's host name."
  value       = aws_lb.app.dns_name
}

output "target_group_arn" {
  description = "ARN for `aws elbv2 describe-target-health` and `aws elbv2 describe-target-groups`, whose output `allswell doctor --alb-json` reads."
  value       = aws_lb_target_group.app.arn
}
